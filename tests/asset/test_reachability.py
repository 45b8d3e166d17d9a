"""The result of the last contact: a message in the row, rendered in the reader's language where it is shown."""

import pytest
from django.utils import translation

from asset import reachability
from asset.models import Asset
from messages import Message
from tests import factories

pytestmark = pytest.mark.django_db
TIMEOUT = Message("host_timeout", {"seconds": 9})


def test_keeps_code_and_params():
    factories.hosts(1)
    reachability.note(Asset.objects.all(), False, TIMEOUT)
    host = Asset.objects.get()
    assert host.last_error == host.last_error_text == "The host did not answer within 9 s."
    assert Message.from_json(host.last_error_message) == TIMEOUT


def test_writes_english_whatever_the_reader_speaks():
    factories.hosts(1)
    with translation.override("zh-hans"):
        reachability.note(Asset.objects.all(), False, TIMEOUT)
    assert Asset.objects.get().last_error == "The host did not answer within 9 s."


def test_shows_sentences_of_older_rows():
    factories.hosts(1)
    Asset.objects.update(last_error="was away")
    assert Asset.objects.get().last_error_text == "was away"


def test_keeps_a_message_for_each_host(django_assert_num_queries):
    first, second, third = factories.hosts(3)
    errors = {first.pk: TIMEOUT, second.pk: "said by the host", third.pk: Message("host_archived", {"host": "c"})}
    with django_assert_num_queries(1):
        reachability.note_each(False, errors)
    rows = Asset.objects.in_bulk()
    assert rows[first.pk].last_error_message == TIMEOUT.as_json()
    assert (rows[second.pk].last_error, rows[second.pk].last_error_message) == ("said by the host", None)
    assert rows[third.pk].last_error_text == "c is archived."


def test_success_clears_the_message():
    (host,) = factories.hosts(1)
    reachability.note(Asset.objects.all(), False, TIMEOUT)
    reachability.note_well([host.pk])
    host.refresh_from_db()
    assert (host.last_error, host.last_error_message, host.reachable) == ("", None, True)
