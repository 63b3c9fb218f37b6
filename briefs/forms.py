"""What people type, read. Forms only turn text into values; the services judge them, the same for every door."""

from __future__ import annotations

from typing import Any

from django import forms

from core.errors import Invalid


class Words(forms.CharField):
    """Text as it was typed: spaces and line ends kept, empty allowed (the service says what is missing)."""

    def __init__(self) -> None:
        super().__init__(required=False, strip=False)


class Lines(forms.CharField):
    """One value a line; empty lines do not count."""

    def __init__(self) -> None:
        super().__init__(required=False)

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class Names(forms.CharField):
    """Names with spaces or commas between them."""

    def __init__(self) -> None:
        super().__init__(required=False)

    def clean(self, value: Any) -> list[str]:
        return str(super().clean(value)).replace(",", " ").split()


class CaptureForm(forms.Form):
    body = Words()
    project = forms.CharField(required=False)


class NoteForm(forms.Form):
    body = Words()


class TitleForm(forms.Form):
    title = Words()


class SpecForm(forms.Form):
    spec = Words()
    base_version = forms.IntegerField(min_value=0)
    why = forms.CharField(required=False)


class PreviewForm(forms.Form):
    text = Words()


class VersionForm(forms.Form):
    version = forms.IntegerField(min_value=1)


class ProposalForm(forms.Form):
    base_version = forms.IntegerField(min_value=0)
    plan = Words()


class WhyForm(forms.Form):
    why = Words()


class StatusForm(forms.Form):
    status = forms.CharField(required=False)
    why = forms.CharField(required=False)


class FlagForm(forms.Form):
    flag = forms.CharField(required=False)
    on = forms.BooleanField(required=False)


class AnswerForm(forms.Form):
    answer = Words()
    option = forms.CharField(required=False)


class ProjectForm(forms.Form):
    path = forms.CharField(required=False)
    slug = forms.CharField(required=False)
    main_branch = forms.CharField(required=False)
    branch_prefix = forms.CharField(required=False)
    git_programs = Names()
    setup_command = Words()
    gates = Lines()
    auto_merge = forms.BooleanField(required=False)
    submodules = forms.NullBooleanField()  # left out, it stays as it is
    keep_paths = Lines()


def read(form: forms.Form) -> dict[str, Any]:
    """The form's values. Raises Invalid with the first thing that is wrong."""
    if form.is_valid():
        return form.cleaned_data
    name, errors = next(iter(form.errors.items()))
    raise Invalid(f"{name.replace('_', ' ').capitalize()}: {errors[0]}")
