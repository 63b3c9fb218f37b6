# One image for web, worker, watch, beat and the migrate job; docker-compose.yml says which is which.

FROM python:3.13-slim-bookworm AS build
# mysqlclient has no wheel for Linux: it is compiled here, and the compiler stays behind
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /srv/venv
COPY requirements-mysql.lock /tmp/
RUN /srv/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements-mysql.lock

FROM python:3.13-slim-bookworm
# git: worktrees and merges; procps: for a person who looks around in the worker
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libmariadb3 procps openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 flower \
    && useradd --uid 10001 --gid flower --create-home flower \
    && install -d -o flower -g flower -m 0700 /srv/state \
    && install -d -o flower -g flower /srv/repositories
COPY --from=build /srv/venv /srv/venv
WORKDIR /srv/flower
COPY . .
# the application cannot be changed by what runs in it; its byte code is made once, here
RUN /srv/venv/bin/python -m compileall -q . && git config --system --add safe.directory '*'
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=flower.settings \
    MALLOC_ARENA_MAX=2 \
    FLOWER_HOME=/srv/state \
    FLOWER_HOST=0.0.0.0 \
    FLOWER_PORT=8000
USER flower
EXPOSE 8000
CMD ["python", "-m", "flower.web", "--bind", "0.0.0.0", "--port", "8000"]
