"""Three hundred kills; tests/soak/kill makes ten thousand."""
import kills


def test_three_hundred_kills_lose_nothing_and_double_nothing(daemon, room):
    runs, strays = kills.rampage(daemon, room, 300, 1)
    assert runs > 300
    assert strays == 0, "work items were made and forgotten"
