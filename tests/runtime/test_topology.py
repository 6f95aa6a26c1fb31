"""Order of evaluation: sources first, whatever the order of the edges."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.network import Input, Network, Node
from reflexarc.runtime.topology import evaluation_order


def graph(names, edges):
    nodes = {n: (Input if n == "in" else Node)(name=n, shape=(1,)) for n in names}
    return Network(nodes=nodes, edges=tuple(edges))


@given(st.integers(2, 12), st.data())
def test_without_cycles_every_edge_leads_forwards(size, data):
    names = [str(k) for k in range(size)]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True))
    shuffled = data.draw(st.permutations(names))
    order = evaluation_order(graph(shuffled, edges))
    assert sorted(order) == sorted(names)
    assert all(order.index(a) < order.index(b) for a, b in edges)


def test_a_cycle_is_opened_where_the_search_from_the_input_comes_back():
    edges = [("b", "a"), ("a", "b"), ("in", "a")]
    assert evaluation_order(graph(["b", "a", "in"], edges)) == ["in", "a", "b"]


def test_a_node_that_holds_opens_its_cycle():
    edges = [("in", "a"), ("a", "d"), ("d", "a")]
    order = evaluation_order(graph(["in", "a", "d"], edges), {"d"})
    assert order.index("d") < order.index("a")


def test_a_long_chain_needs_no_recursion():
    names = [str(k) for k in range(5000)]
    order = evaluation_order(graph(names, pairwise(names)))
    assert order == names
