"""What the demo prints; the demo itself runs in the test of the straight way."""

import json

from serving.commands.demo import compact


def test_an_answer_is_printed_as_json_with_a_line_a_finding_and_a_line_a_member():
    answer = {
        "id": "1",
        "findings": [{"finding": "Effusion", "present": True}, {"finding": "Mass", "present": False}],
        "decision": {"abstain": False, "reasons": []},
    }
    assert compact(answer).splitlines() == [
        "{",
        '  "id": "1",',
        '  "findings": [',
        '    {"finding": "Effusion", "present": true},',
        '    {"finding": "Mass", "present": false}',
        "  ],",
        '  "decision": {"abstain": false, "reasons": []}',
        "}",
    ]


def test_what_is_printed_is_the_whole_answer():
    for answer in ({"findings": [], "notice": "none"}, {"code": "no_chest", "status": 422}):
        assert json.loads(compact(answer)) == answer
