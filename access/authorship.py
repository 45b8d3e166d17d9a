"""Columns that say when and by whom a row was created and last changed. Abstract bases of models of every app."""

from django.db import models


class Created(models.Model):
    """`created_by`: the name of the caller, which stays when the account is deleted."""

    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        abstract = True


class CreatedAndUpdated(Created):
    updated = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        abstract = True
