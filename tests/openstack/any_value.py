"""Values of any type, for fields that may contain anything."""

from __future__ import annotations

from hypothesis import strategies as st

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=2)
    | st.datetimes(),
    lambda more: (
        st.lists(more, max_size=2)
        | st.tuples(more, more)
        | st.dictionaries(st.text(max_size=3) | st.integers(), more)
    ),
    max_leaves=4,
)
