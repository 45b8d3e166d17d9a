"""Django's makemessages, which also finds the texts of messages.text.Plural."""

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=Plural:1,2"]
