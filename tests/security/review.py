"""The lines of the security review and the tests that cover them: (file, test). test_review.py checks that each exists,
so that a renamed test does not drop a line."""

# A line of the review's list → the tests that cover it.
COVERED = {
    "the session's id changes at sign-in": (
        ("tests/security/test_sessions.py", "test_login_replaces_planted_session"),
    ),
    "logout by POST only, and it ends the session": (
        ("tests/security/test_sessions.py", "test_logout_needs_post_and_ends_session"),
    ),
    "a new password ends the other sessions, a reset all": (
        ("tests/security/test_sessions.py", "test_password_change_ends_sessions"),
    ),
    "deactivation ends sessions and tokens": (
        ("tests/security/test_sessions.py", "test_deactivated_user_has_no_session_or_token"),
    ),
    "next and language lead to no other site": (
        ("tests/security/test_sessions.py", "test_redirects_within_the_site_only"),
    ),
    "Host and X-Forwarded-Host": (("tests/security/test_sessions.py", "test_foreign_host_header_is_refused"),),
    "X-Forwarded-For and -Proto of trusted proxies only": (
        ("tests/access/test_client_ip.py", "test_believes_trusted_proxies_only"),
        ("tests/access/test_forwarded.py", "test_ignores_other_clients"),
    ),
    "CSRF, on sign-in too, and for the API with a session": (
        ("tests/security/test_sessions.py", "test_forms_need_csrf_token"),
    ),
    "no CORS, no TRACE": (("tests/security/test_sessions.py", "test_no_cors_and_no_trace"),),
    "IDOR over every method and path": (
        ("tests/access/test_every_right.py", "test_api_for_each_role"),
        ("tests/access/test_every_right.py", "test_console_for_each_role"),
        ("tests/access/test_accounts.py", "test_console_hides_other_teams"),
    ),
    "no user gains or gives rights that they lack": (
        ("tests/access/test_accounts.py", "test_refuses_to_remove_own_rights"),
        ("tests/console/views/test_account.py", "test_rejects_scope_of_others"),
    ),
    "streams end after revocation, logout and removal": (
        ("tests/security/test_review.py", "test_stream_ends_after_lost_right"),
        ("tests/api/test_events.py", "test_ends_soon_after_revocation"),
        ("tests/access/test_session_cache.py", "test_forgets_sessions_without_access"),
    ),
    "no markup in any text field, both languages; CSP on all": (
        ("tests/security/test_markup.py", "test_user_text_is_escaped_on_every_page"),
        ("tests/console/test_terminal.py", "test_output_has_only_own_markup"),
    ),
    "logs are text/plain, nosniff, sandbox": (("tests/security/test_markup.py", "test_log_is_served_as_plain_text"),),
    "CL.TE, TE.CL, doubled lengths": (
        ("tests/security/test_review.py", "test_no_request_hides_in_the_body_of_another"),
    ),
    "callbacks: addresses, rebinding, redirects": (
        ("tests/callbacks/test_http_client.py", "test_refuses_private_addresses"),
        ("tests/callbacks/test_http_client.py", "test_rejects_invalid_urls"),
        ("tests/callbacks/test_http_client.py", "test_connects_to_the_checked_address"),
        ("tests/callbacks/test_http_client.py", "test_redirects_are_not_followed"),
    ),
    "webhooks: token, age, replay, size": (
        ("tests/builds/test_reports.py", "test_rejects_events_without_token"),
        ("tests/builds/test_reports.py", "test_signed_reports_change_a_jenkins_build_once"),
        ("tests/security/test_review.py", "test_report_is_fresh_signed_unique_and_small"),
    ),
    "names of versions": (("tests/security/test_review.py", "test_version_name_is_not_a_path"),),
    "hostile archives, wrong digests": (
        ("tests/api/test_packages.py", "test_refuses_hostile_archives"),
        ("tests/api/test_packages.py", "test_verifies_the_announced_digest"),
    ),
    "racing uploads": (("tests/api/test_package_repeats.py", "test_one_of_many_concurrent_uploads_wins"),),
    "git: options, protocols, refs": (
        ("tests/builds/test_checkout.py", "test_allows_configured_protocols_only"),
        ("tests/builds/test_checkout.py", "test_rejects_invalid_refs"),
        ("tests/security/test_review.py", "test_git_arguments_are_not_options"),
    ),
    "errors hide userinfo": (("tests/security/test_review.py", "test_password_in_url_is_not_in_errors"),),
    "the runner: no value in argv, folders of its own": (
        ("tests/security/test_review.py", "test_operation_values_stay_private"),
        ("tests/engine/test_runner_hostile.py", "test_values_reach_commands_unchanged"),
    ),
    "rotate_keys": (("tests/access/test_commands.py", "test_rotate_keys_rewrites_every_secret"),),
    "no secret in logs, pages, errors, processes": (("tests/security/test_canaries.py", "test_leaks_no_secret"),),
    "idempotency keys are per caller": (("tests/api/test_idempotency.py", "test_keys_belong_to_a_caller"),),
    "the broker's socket is private": (("tests/security/test_review.py", "test_broker_socket_is_private"),),
    "the demo's files are private": (("tests/demo/test_demo.py", "test_secret_files_are_private"),),
    "the work of signing in says nothing about names": (
        ("tests/security/test_sessions.py", "test_unknown_user_costs_as_much_as_wrong_password"),
    ),
}
