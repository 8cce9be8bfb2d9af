"""Generated scopes."""

from hypothesis import strategies as st

from smart_auth.scopes.grammar import LETTERS, ResourceScope

letters = st.sets(st.sampled_from(LETTERS), min_size=1).map(
    lambda found: "".join(letter for letter in LETTERS if letter in found)
)
values = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
criteria = st.sets(
    st.tuples(
        st.sampled_from(["category", "code", "_tag"]), values | st.sampled_from(["a", "http://x|b", "a&b=c", "é+ %"])
    ),
    max_size=2,
).map(lambda found: tuple(sorted(found)))
resource_scopes = st.builds(
    ResourceScope,
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(["*", "Patient", "Observation", "Condition"]),
    letters,
    criteria,
)
