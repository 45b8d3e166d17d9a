"""The client of a Docker engine: our own sockets, so that each wait has a limit and can be ended from another thread.

    from integrations.docker import engine, images
    built = engine.connect(part)                        # the settings `docker`; asks for the version
    image_id = images.build(built, context, options, on_line=log, interrupt=interrupt)

Everything raises what errors.py has, each with a message for people. docs/decisions/0023-own-engine-client.md says why
this is no library.
"""
