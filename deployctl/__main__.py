"""`python -m deployctl`."""

from .commands import main

if __name__ == "__main__":
    main(prog_name="deployctl")  # one name for completion, however it was started
