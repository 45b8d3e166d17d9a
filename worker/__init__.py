"""The worker process: claims operations, carries them out on hosts, and writes what came of them."""
