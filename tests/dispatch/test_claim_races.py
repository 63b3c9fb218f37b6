"""Exactly one of many racing claimants wins: threads and processes, the same actor and different ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from django.db import connection, connections

from core.errors import Conflict
from dispatch import claims, services
from dispatch.models import DispatchRequest
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)

CLAIMANTS = 64
ROUNDS = int(os.environ.get("FLOWER_CLAIM_ROUNDS", "3"))  # make test-services asks for more


@pytest.mark.parametrize("same_actor", [True, False])
def test_64_threads(project, same_actor):
    who = [agent("claimant" if same_actor else f"claimant-{number}") for number in range(CLAIMANTS)]
    for round_ in range(ROUNDS):
        request = services.dispatch(make_brief(f"Round {round_}", project), actor=operator())
        outcomes: list[str] = []
        start = threading.Barrier(CLAIMANTS)

        def attempt(actor, number=request.pk, outcomes=outcomes, start=start):
            try:
                row = DispatchRequest.objects.get(pk=number)
                start.wait()
                claims.claim(row, actor=actor)
                outcomes.append("won")
            except Conflict:
                outcomes.append("lost")
            except Exception as error:
                outcomes.append(repr(error))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=attempt, args=(actor,)) for actor in who]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost"] * (CLAIMANTS - 1) + ["won"]
        request.refresh_from_db()
        assert (request.state, request.fence) == ("claimed", 1)
        assert request.brief.trace.filter(kind="claimed").count() == 1


CLAIMANT = """
import json, sys, threading
import django
django.setup()
from django.conf import settings
from django.db import connection, connections
settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = sys.argv[1]
from briefs.models import Actor
from dispatch import claims
from dispatch.models import DispatchRequest
from core.errors import Conflict

def attempt(number, ref):
    try:
        row = DispatchRequest.objects.get(pk=number)
        start.wait()
        claims.claim(row, actor=Actor.objects.get(ref=ref))
        outcomes.append("won")
    except Conflict:
        outcomes.append("lost")
    except Exception as error:
        outcomes.append(repr(error))
    finally:
        connections.close_all()

print("ready", flush=True)
for line in sys.stdin:
    number, refs = json.loads(line)
    outcomes, start = [], threading.Barrier(len(refs))
    threads = [threading.Thread(target=attempt, args=(number, ref)) for ref in refs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(json.dumps(outcomes), flush=True)
"""


def test_64_claimants_in_processes(project, settings):
    processes = 4
    refs = [agent(f"claimant-{number % 40}").ref for number in range(CLAIMANTS)]
    name = str(connection.settings_dict["NAME"])
    # a broker that is not there: a claim must not depend on the wake-up that follows it
    env = {**os.environ, "FLOWER_HOME": str(settings.FLOWER.home), "PYTHONPATH": os.getcwd()}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
        )
        for _ in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for round_ in range(ROUNDS):
            request = services.dispatch(make_brief(f"Round {round_}", project), actor=operator())
            for number, process in enumerate(running):
                process.stdin.write(json.dumps([request.pk, refs[number::processes]]) + "\n")
            for process in running:
                process.stdin.flush()
            outcomes = [outcome for process in running for outcome in json.loads(process.stdout.readline())]
            assert sorted(outcomes) == ["lost"] * (CLAIMANTS - 1) + ["won"]
            request.refresh_from_db()
            assert request.fence == 1
    finally:
        for process in running:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()
