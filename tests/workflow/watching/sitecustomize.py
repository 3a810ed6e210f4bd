"""Python imports this at its start: it notes in the file $WATCHED what a job might do in secret."""

import os
import sys

EVENTS = {"socket.connect", "socket.getaddrinfo", "pickle.find_class", "os.system"}

if "WATCHED" in os.environ:
    notes = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(event, arguments):
        if event in EVENTS:
            script = sys.argv[0] if hasattr(sys, "argv") else ""
            os.write(notes, f"{script}\t{event}\t{arguments[-2:]}\n".encode())

    sys.addaudithook(note)
