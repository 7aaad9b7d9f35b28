import base64
import re
import zlib

from serving.page.picture import Facts
from serving.page.report import report
from serving.page.sheet import CONFOUNDED

FEMALE_PA = Facts(view_position="PA", sex="F")


def text_of(pdf):
    """What a report says: the strings of its deflated streams."""
    streams = re.findall(rb"ASCII85Decode /FlateDecode \].*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    inflated = [zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>"))) for stream in streams]
    pages = b" ".join(stream for stream in inflated if b" Tj" in stream)
    strings = re.findall(rb"\((.*?)(?<!\\)\) Tj", pages, re.DOTALL)
    return b" ".join(strings).decode("latin-1").replace("\\", "")


def test_the_report_says_findings_checks_and_provenance(answer, chest):
    pdf = report(answer, FEMALE_PA, chest, answer.findings[0].finding)
    text = text_of(pdf)
    assert pdf.startswith(b"%PDF-")
    for words in (
        answer.notice,
        "PA view, age unknown, female",
        "Before you read",
        "Frontal chest radiograph",
        answer.id,
        answer.model.digest,
        answer.provenance.data,
        "Viral Pneumonia",
        f"Heat map of {answer.findings[0].finding}, hottest:",
    ):
        assert words in text, words
    assert CONFOUNDED[:40] in text


def test_a_report_without_findings_says_so(answer, chest):
    refused = answer.model_copy(update={"findings": [], "explanation": None})
    text = text_of(report(refused, Facts(), chest, None))
    assert "No findings are shown." in text
    assert "Without heat map." in text


def test_markup_in_an_answer_is_printed_as_it_is(answer, chest):
    decision = answer.decision.model_copy(update={"reasons": ["<b>x</b> & <img src='http://elsewhere/x.png'/>"]})
    text = text_of(report(answer.model_copy(update={"decision": decision}), Facts(), chest, None))
    assert "<b>x</b>&<img" in text.replace(" ", "")
