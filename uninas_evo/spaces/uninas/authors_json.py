"""Reading and writing the JSON of the authors' package `uninas` (on PyPI).

Only the structure is taken over: shapes follow from the skeleton, and costs are always recomputed, since the
package's own files multiply the FLOPs of attention when they are saved and loaded.
"""

from __future__ import annotations

import json
from typing import Any

from uninas_evo.errors import GenomeError
from uninas_evo.files import parse_json
from uninas_evo.spaces.uninas.chain import Chain, Node, attention_node, chain, node
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import HEAD_CHAINS, HEAD_WIDTH, OPERATIONS, Shape
from uninas_evo.spaces.uninas.presets import block_texts
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import MAX_DEPTH, parse_chain

_SIMPLE = {o.foreign.cls: o.name for o in OPERATIONS.values() if o.branches is None}
_SEQUENTIAL = {o.foreign.cls: o for o in OPERATIONS.values() if o.couple and o.foreign.cls != "ForkMerge"}
_FORKS = {
    (*o.foreign.params["fork_merge_tuple"], o.foreign.params["branches_count"]): o.name
    for o in OPERATIONS.values()
    if o.foreign.cls == "ForkMerge"
}
_CODES = {"R": "resnet", "E": "efficientnet", "T": "vit"}
_PACKAGE_HEADS = (3, 6, 12, 24)
_HEAD_KEYS = ("connections", "post_branches")


def genome_from_package(data: dict[str, Any]) -> Genome:
    """The genome of a decoded model file of the package.

    Raises:
        GenomeError: the data is not of the package's form, or holds what is not in Table I.
    """
    stages = data["model_str"]
    try:
        stages = parse_json(stages) if isinstance(stages, str) else stages
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"'model_str' of the uninas JSON cannot be read: {error}; fix the file") from None
    size, stem = data.get("img_size", 224), data.get("stem_width", (32, 64))
    skeleton = Skeleton(
        size[0] if isinstance(size, list) and size else size,
        data.get("num_classes", 1000),
        (stem, stem) if isinstance(stem, int) else stem,
        data.get("embed_dim", (96, 192, 384, 768)),
        data.get("depths", (2, 3, 5, 2)),
    )
    if not isinstance(stages, list) or [len(s) if isinstance(s, list) else s for s in stages] != list(skeleton.depths):
        raise GenomeError(
            f"'model_str' must hold {list(skeleton.depths)} blocks, the depths of the stages; fix the file"
        )
    chains = []
    for (stage, place), shape in zip(skeleton.blocks, skeleton.shapes, strict=True):
        where = f"stage {stage + 1}, block {place + 1}"
        chains += _read_block(stages[stage][place], shape, where)
    return Genome.of(skeleton, chains)


def _read_block(block: Any, shape: Shape, where: str) -> list[Chain]:
    if isinstance(block, str) and block in _CODES:
        return [parse_chain(text, shape, where) for text in block_texts(_CODES[block])]
    if isinstance(block, dict) and {"subblock1", "subblock2"} <= set(block):
        return [_read_chain(block[key], shape, f"{where}, {key}") for key in ("subblock1", "subblock2")]
    raise GenomeError(
        f"{where}: a block is one of {', '.join(_CODES)}, or holds 'subblock1' and 'subblock2', "
        f"got {block!r:.80}; fix it"
    )


def _read_chain(data: Any, shape: Shape, where: str, depth: int = 0) -> Chain:
    if depth > MAX_DEPTH:
        raise GenomeError(f"{where}: pairs are nested deeper than {MAX_DEPTH}; flatten the network")
    if _class(data) != "SequentialModule":
        raise GenomeError(f"{where}: a chain must be a 'SequentialModule', got {_class(data)!r}; fix the file")
    modules = _list(data, "modules", where)
    read = (_read_node(m, shape, f"{where}, node {i + 1}", depth + 1) for i, m in enumerate(modules))
    return chain(shape, [n for n in read if n is not None])


def _read_node(data: Any, shape: Shape, where: str, depth: int) -> Node | None:
    """A node, or None for an identity, which the space does without."""
    kind = _class(data)
    if kind == "Identity":
        return None
    try:
        if kind in _SIMPLE:
            return node(_SIMPLE[kind], shape)
        if kind == "ForkMergeAttention":
            return _read_attention(data, shape, where, depth)
        if kind in _SEQUENTIAL:
            name, branches = _SEQUENTIAL[kind].name, [_params(data).get("sequential")]
            if _params(data).get("factor", 4) != 4:
                raise GenomeError(f"{kind} with the factor {_params(data)['factor']!r} is not in the space; use 4")
        elif kind == "ForkMerge":
            branches = _list(data, "branches", where)
            key = (*_list(data, "fork_merge_tuple", where), len(branches))
            if key not in _FORKS:
                raise GenomeError(f"the pair {key} is not in the space; use one of {list(_FORKS)}")
            name = _FORKS[key]
        else:
            raise GenomeError(
                f"the class {kind!r} is not in the space; use one of {', '.join([*_SIMPLE, *_SEQUENTIAL])}"
            )
        bare = node(name, shape)
        own = [_read_chain(b, c.shape, where, depth) for b, c in zip(branches, bare.branches, strict=True)]
        return node(name, shape, own)
    except GenomeError as error:
        message = str(error)
        raise GenomeError(message if message.startswith("stage ") else f"{where}: {message}") from None


def _read_attention(data: Any, shape: Shape, where: str, depth: int) -> Node:
    bare = node("attention", shape)
    count = shape[0] // HEAD_WIDTH
    projections = _list(data, "branches", where)
    scores, out = (_list(data, key, where) for key in _HEAD_KEYS)
    if (len(projections), len(scores), len(out)) != (3 * count, count, count):
        raise GenomeError(
            f"an attention on {shape} has {count} heads and so {3 * count} branches, {count} connections and "
            f"post_branches, got {len(projections)}, {len(scores)} and {len(out)}; fix the file"
        )
    chains: list[Chain] = []
    for head in range(count):
        own = (*projections[3 * head : 3 * head + 3], scores[head], out[head])
        for label, branch, part in zip(HEAD_CHAINS, bare.branches, own, strict=False):
            chains.append(_read_chain(part, branch.shape, f"{where}, head {head + 1}, {label}", depth))
    return attention_node(shape, [(head,) for head in range(count)], chains)


def _class(data: Any) -> str:
    return str(data.get("class"))[:80] if isinstance(data, dict) else str(data)[:80]


def _params(data: dict[str, Any]) -> dict[str, Any]:
    params = data.get("params", {})
    return params if isinstance(params, dict) else {}


def _list(data: dict[str, Any], key: str, where: str) -> list[Any]:
    value = _params(data).get(key)
    if not isinstance(value, list):
        raise GenomeError(f"{where}: {key!r} of a {_class(data)} must be a list, got {value!r:.80}; fix the file")
    return value


def genome_to_package(genome: Genome) -> str:
    """The model file of the package for a genome.

    Raises:
        GenomeError: an attention has a number of heads that the package refuses, or the images are no colored squares.
    """
    skeleton = genome.skeleton
    if not skeleton.is_plain:
        raise GenomeError(
            f"the uninas package knows square images of 3 channels and a stem of stride 2 alone, got images of "
            f"{skeleton.image} and stride {skeleton.stem_stride}; write the genome as text or json"
        )
    stages: list[list[Any]] = [[] for _ in skeleton.channels]
    for index, (stage, _) in enumerate(skeleton.blocks):
        first, second = genome.chains[2 * index : 2 * index + 2]
        stages[stage].append({"subblock1": _write_chain(first), "subblock2": _write_chain(second)})
    data = {
        "img_size": skeleton.image_size,
        "num_classes": skeleton.classes,
        "drop_rate": 0.0,
        "embed_dim": skeleton.channels,
        "depths": skeleton.depths,
        "model_str": json.dumps(stages),
        "stem_width": skeleton.stem,
    }
    return json.dumps(data) + "\n"


def _write_chain(chain: Chain) -> dict[str, Any]:
    return _module("SequentialModule", chain.shape, modules=[_write_node(n) for n in chain.nodes])


def _write_node(n: Node) -> dict[str, Any]:
    foreign = n.operation.foreign
    if n.heads:
        return _write_attention(n)
    branches = [_write_chain(b) for b in n.branches]
    if foreign.cls == "ForkMerge":
        return _module(foreign.cls, n.shape, **foreign.params, branches=branches)
    if branches:
        return _module(foreign.cls, n.shape, sequential=branches[0], **foreign.params)
    return _module(foreign.cls, n.shape)


def _write_attention(n: Node) -> dict[str, Any]:
    count = n.shape[0] // HEAD_WIDTH
    if count not in _PACKAGE_HEADS:
        raise GenomeError(
            f"the uninas package takes {_PACKAGE_HEADS} attention heads, so 96, 192, 384 or 768 channels, "
            f"got {count} heads; write the genome as text or json"
        )
    heads: list[list[dict[str, Any]]] = [[]] * count
    for group, places in enumerate(n.heads):
        for place in places:
            heads[place] = [_write_chain(b) for b in n.head_group(group)]
    one = (HEAD_WIDTH, *n.shape[1:])
    return _module(
        "ForkMergeAttention",
        n.shape,
        branches=[part for head in heads for part in head[:3]],
        matmullefts=[_module("MatmulLeft", one) for _ in heads],
        matmulrights=[_module("MatmulRight", one) for _ in heads],
        connections=[head[3] for head in heads],
        post_branches=[head[4] for head in heads],
    )


def _module(cls: str, shape: Shape, **params: Any) -> dict[str, Any]:
    return {"class": cls, "shape": shape, "params": params}
