"""What a refusal says to a person, beside what it says to API clients."""

from access.problems import FieldError, invalid, invalid_fields


def test_what_an_address_names_is_no_field():
    problem = invalid("/path/id", "cannot_revert", deployment=7, action="install")
    assert problem.detail == "path.id: deployment 7 is an install: there is no version to revert to"
    assert problem.sentence == "Deployment 7 is an install: there is no version to revert to"


def test_fields_of_a_form_and_several_errors_keep_their_place():
    one = FieldError("/host", "cannot_revert", deployment=7, action="install")
    assert invalid_fields([one]).sentence.startswith("host: deployment 7")
    several = invalid_fields([FieldError("/path/id", "cannot_revert", deployment=7, action="install"), one])
    assert several.sentence == several.detail
