"""Methods that wait for each other."""

from __future__ import annotations

import threading

from monailabel_app.lib.turns import in_turns


class Names:
    """A list that is emptied and filled anew, in the midst of which it may be held."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.emptied, self.go_on = threading.Event(), threading.Event()

    def refresh(self) -> None:
        names = self.listed()
        self.names.clear()
        self.emptied.set()
        assert self.go_on.wait(600)
        self.names.extend(names)

    def listed(self) -> list[str]:
        return list(self.names)


def test_a_list_is_not_read_while_it_is_filled_anew() -> None:
    names = in_turns(Names, ("refresh", "listed"))("one", "two")
    read: list[list[str]] = []
    refreshing = threading.Thread(target=names.refresh)
    reading = threading.Thread(target=lambda: read.append(names.listed()))
    refreshing.start()
    assert names.emptied.wait(600)
    reading.start()
    reading.join(0.2)  # in vain
    assert read == []
    names.go_on.set()
    reading.join(600)
    refreshing.join(600)
    assert read == [["one", "two"]]


def test_it_is_still_of_its_kind_and_other_methods_do_not_wait() -> None:
    names = in_turns(Names, ("refresh",))("one")
    assert isinstance(names, Names)
    refreshing = threading.Thread(target=names.refresh)
    refreshing.start()
    assert names.emptied.wait(600)
    assert names.listed() == []
    names.go_on.set()
    refreshing.join(600)
