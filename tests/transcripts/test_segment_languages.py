"""The same small session, told in five languages: the same cuts, the same facts, as many quotes in each field."""

from __future__ import annotations

import json

import pytest

from tests.transcripts.building import Log
from transcripts.events import Kind
from transcripts.segmentation import Segment, segment

# What is said, in the order in which it is said; nothing else differs.
ENGLISH = [
    "Please move the login form to a page of its own. The start page must load faster.",
    "I will look at the form first, and then move it.",
    "The form is moved to a page of its own. The start page no longer loads the password script.",
    "Use the old colours for the new page, the customers know them. We do not change them before summer.",
    "The new page has the old colours now.",
    "Should old links go on to work?",
    "Yes, for a year",
    "Old links lead to the new page. That is checked by a test.",
    "Why does the export of invoices take so long? The customers wait for minutes.",
    "I will measure the export of the invoices.",
    "never run that against the real database",
    "The export reads every invoice twice. Reading each once is enough, and no invoice is lost.",
    "Read each invoice only once, and write a test for it that fails without the change.",
    "The export reads each invoice once.\n\n- [x] Read once\n- [ ] Measure it on the big table\n\nShall I measure now?",
]
GERMAN = [
    "Bitte verschiebe das Anmeldeformular auf eine eigene Seite. Die Startseite muss schneller laden.",
    "Ich sehe mir zuerst das Formular an und verschiebe es dann.",
    "Das Formular steht auf einer eigenen Seite. Die Startseite lädt das Passwortskript nicht mehr.",
    "Nimm für die neue Seite die alten Farben, die Kunden kennen sie. Vor dem Sommer ändern wir sie nicht.",
    "Die neue Seite hat jetzt die alten Farben.",
    "Sollen alte Verweise weiter gehen?",
    "Ja, ein Jahr lang",
    "Alte Verweise führen zur neuen Seite. Ein Test prüft das.",
    "Warum dauert die Ausgabe der Rechnungen so lange? Die Kunden warten minutenlang.",
    "Ich messe die Ausgabe der Rechnungen.",
    "niemals gegen die echte Datenbank laufen lassen",
    "Die Ausgabe liest jede Rechnung zweimal. Einmal lesen reicht, und keine Rechnung geht verloren.",
    "Lies jede Rechnung nur einmal und schreibe dafür einen Test, der ohne die Änderung fehlschlägt.",
    "Die Ausgabe liest jede Rechnung einmal.\n\n- [x] Einmal lesen\n- [ ] An der großen Tabelle messen\n\n"
    "Soll ich jetzt messen?",
]
FRENCH = [
    "Déplace le formulaire de connexion sur sa propre page. La page d'accueil doit se charger plus vite.",
    "Je regarde d'abord le formulaire, puis je le déplace.",
    "Le formulaire est sur sa propre page. La page d'accueil ne charge plus le script du mot de passe.",
    "Garde les anciennes couleurs pour la nouvelle page, les clients les connaissent. On n'y touche pas avant l'été.",
    "La nouvelle page a maintenant les anciennes couleurs.",
    "Les anciens liens doivent-ils marcher ?",
    "Oui, pendant un an",
    "Les anciens liens mènent à la nouvelle page. Un test le vérifie.",
    "Pourquoi l'export des factures est-il si lent ? Les clients attendent des minutes.",
    "Je mesure l'export des factures.",
    "ne lance jamais cela sur la vraie base de données",
    "L'export lit chaque facture deux fois. Une seule lecture suffit, et aucune facture ne se perd.",
    "Lis chaque facture une seule fois, et écris un test qui échoue sans le changement.",
    "L'export lit chaque facture une fois.\n\n- [x] Lire une fois\n- [ ] Mesurer sur la grande table\n\nVeux-tu que je "
    "mesure maintenant ?",
]
JAPANESE = [
    "ログインフォームを専用のページに移してください。トップページの読み込みを速くしたいのです。",
    "まずフォームを確認してから移動します。",
    "フォームを専用のページに移しました。トップページはパスワードのスクリプトを読み込まなくなりました。",
    "新しいページには以前の色を使ってください、お客様が慣れていますから。夏までは変更しません。",
    "新しいページは以前の色になりました。",
    "古いリンクは引き続き使えるべきですか？",
    "はい、一年間",
    "古いリンクは新しいページにつながります。テストで確認しています。",
    "請求書の書き出しはなぜこんなに遅いのですか？お客様は何分も待っています。",
    "請求書の書き出しを計測します。",
    "本番のデータベースでは絶対に実行しないでください",
    "書き出しは請求書を二回ずつ読んでいます。一回で十分で、請求書は失われません。",
    "請求書を一回だけ読むようにして、変更がなければ失敗するテストを書いてください。",
    "書き出しは請求書を一回だけ読みます。\n\n- [x] 一回だけ読む\n- [ ] 大きな表で計測する\n\n今すぐ計測しましょうか？",
]
CHINESE = [
    "请把登录表单移到单独的页面。首页必须加载得更快一些。",
    "我先看看表单，然后把它移过去。",
    "表单已经移到单独的页面。首页不再加载密码脚本。",
    "新页面请用原来的颜色，客户们已经习惯了。夏天之前我们不改颜色。",
    "新页面现在用的是原来的颜色。",
    "旧链接还要继续有效吗？",
    "要，保留一年",
    "旧链接会转到新页面。有一个测试在检查这一点。",
    "为什么导出发票需要这么长时间？客户要等好几分钟。",
    "我来测量发票的导出时间。",
    "绝对不要在正式数据库上运行这个",
    "导出时每张发票读了两次。读一次就够了，也不会丢失任何发票。",
    "每张发票只读一次，并写一个没有这个改动就会失败的测试。",
    "现在导出时每张发票只读一次。\n\n- [x] 只读一次\n- [ ] 在大表上测量\n\n要我现在测量吗？",
]
LANGUAGES = {"de": GERMAN, "fr": FRENCH, "ja": JAPANESE, "zh": CHINESE}
REFUSED = "The user doesn't want to proceed with this tool use. To tell you how to proceed, the user said:\n"


def told(words: list[str]) -> Log:
    said = iter(words)
    log = Log().ask(next(said)).say(next(said)).read("web/login.py").edit("web/login.py", "web/start.py")
    log.run("pytest -q", result="8 passed").say(next(said))
    log.add(Kind.SYSTEM, next(said), data={"queued": True})
    log.edit("web/login.css").say(next(said))
    question, answer = next(said), next(said)
    given = json.dumps({"questions": [{"question": question}]}, ensure_ascii=False)
    log.call("AskUserQuestion", given, result=f'User has answered your questions: "{question}"="{answer}".')
    log.edit("web/links.py").run("pytest -q", result="9 passed").commit("Move the login form").say(next(said))
    log.pause(40).ask(next(said)).say(next(said)).read("bill/export.py", "bill/table.py").edit("bill/measure.py")
    log.call("Bash", command="python bill/export.py", result=REFUSED + next(said), error=True)
    log.say(next(said)).ask(next(said)).edit("bill/export.py", "bill/test_export.py")
    log.run("pytest -q", result="10 passed")
    return log.run("git commit -qm 'Read once'", result="").say(next(said))


def quotes(one: Segment) -> dict[str, int]:
    fields = {**one.sentences, "next": one.next_steps, "decisions": one.key_decisions, "questions": one.open_questions}
    return {name: sum(line.source == "quote" for line in lines) for name, lines in fields.items()}


def facts(made: Segment) -> list[tuple[str, str, int]]:
    """Those that quote nothing, word for word; of the others their template."""
    lines = [line for own in made.sentences.values() for line in own] + made.next_steps + made.key_decisions
    quoting = ("answered", "refusal")
    return [
        (line.reason, "" if line.reason in quoting else line.text, line.event)
        for line in lines
        if line.source == "fact"
    ]


def test_the_english_session_has_something_of_each():
    first, second = segment(told(ENGLISH).events)
    assert quotes(first) == {"title": 1, "summary": 1, "outcome": 1, "next": 0, "decisions": 1, "questions": 0}
    assert quotes(second) == {"title": 1, "summary": 1, "outcome": 2, "next": 1, "decisions": 1, "questions": 1}
    assert [line.reason for line in first.key_decisions] == ["typed while the model worked", "answered"]
    assert [line.reason for line in second.key_decisions] == ["refusal", "a person's words on the way"]
    assert len(facts(first)) >= 6


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_gives_the_same(language):
    english, other = segment(told(ENGLISH).events), segment(told(LANGUAGES[language]).events)
    assert [(one.first, one.last) for one in other] == [(one.first, one.last) for one in english]
    assert [one.status for one in other] == [one.status for one in english]
    assert [facts(one) for one in other] == [facts(one) for one in english]
    assert [quotes(one) for one in other] == [quotes(one) for one in english]
    reasons = [[line.reason for line in one.sentences["title"]] for one in english]
    assert [[line.reason for line in one.sentences["title"]] for one in other] == reasons
