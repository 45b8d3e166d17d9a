"""`python -m deployctl`."""

from .commands import main

if __name__ == "__main__":
    main(prog_name="deployctl")  # so that completion knows it by one name, however it was started
