"""Questions on the brief page: asked by a person, answered in place. And how many wait, for the bar."""

from __future__ import annotations

from django import forms
from django.http import HttpResponse
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import AnswerForm, Lines, Words, read
from briefs.models import Question
from briefs.services import questions
from briefs.views.brief import act
from briefs.views.door import Request, show
from core.errors import NotFound


class AskForm(forms.Form):
    question = Words()
    options = Lines()
    blocking = forms.BooleanField(required=False)


@require_POST
def ask(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def put() -> None:
        typed = read(AskForm(request.POST))
        questions.ask(
            found,
            typed["question"],
            actor=request.identity.actor,
            options=typed["options"],
            blocking=typed["blocking"],
        )

    return act(request, found, "ask", put)


@require_POST
def answer(request: Request, number: int, question: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    asked = Question.objects.filter(brief=found, pk=question).first()
    if asked is None:
        raise NotFound(f"There is no question {question} on brief #{number}.")

    def say() -> None:
        typed = read(AnswerForm(request.POST))
        questions.answer(asked, typed["answer"].strip() or typed["option"], actor=request.identity.actor)

    return act(request, found, f"question-{question}", say)


@require_safe
def needs_you(request: Request) -> HttpResponse:
    """The pill of the bar, for pages that are told that something changed."""
    return show(request, "components/_needs_you.html", {})
