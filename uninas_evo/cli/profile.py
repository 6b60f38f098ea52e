"""`uninas-evo profile`: what networks of a space take on this device, for searches that keep below a latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uninas_evo.cli._app import app

if TYPE_CHECKING:
    from uninas_evo.contracts import Space


@app.command()
def profile(
    start: Annotated[
        str, typer.Argument(metavar="START", help="A run file, whose space it is; or a preset or a genome's file.")
    ],
    out: Annotated[Path, typer.Option(help="The profile, a JSON file.")] = Path("device.json"),
    backend: Annotated[str, typer.Option(help="ort (ONNX Runtime), eager (torch) or compile (torch.compile).")] = "ort",
    threads: Annotated[int, typer.Option(min=1, help="Threads of a forward pass.")] = 1,
    networks: Annotated[
        int | None, typer.Option(min=4, help="Whole networks to time; 30, or 10 with --known.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="pieces (operations one by one) where the space has any, ridge or forest (its features)."),
    ] = None,
    known: Annotated[
        Path | None, typer.Option(metavar="PROFILE", help="Another device's profile, to carry over to this one.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the networks.")] = 0,
) -> None:
    """Times a space's operations and some whole networks on this device, and writes what times follow from them.

    Run nothing else meanwhile. A run file uses it as a cost, `[problem.costs.NAME]` with `profile = "device.json"`,
    and bounds it by `max_NAME` in `[problem.budget]`; the run file that is given may do so already.

    Example: `uninas-evo profile runs/quickstart.toml --backend eager --out laptop.json`
    """
    import time

    from uninas_evo.devices.profile import Profile, checked_model
    from uninas_evo.devices.profiling import profile as measure
    from uninas_evo.devices.timing import checked

    chosen, named = checked(backend), None if model is None else checked_model(model)
    begin = time.perf_counter()
    made = measure(
        space_to_profile(start), backend=chosen, threads=threads, networks=networks, model=named,
        known=None if known is None else Profile.load(known), seed=seed, told=_tell,
    )  # fmt: skip
    made.save(out)
    pieces = f"{len(made.pieces)} operations and " if made.pieces and known is None else ""
    print(f"{pieces}{made.accuracy.networks} networks in {time.perf_counter() - begin:.0f} s on {made.device}")
    print(made.accuracy)
    print(out)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def space_to_profile(source: str) -> Space[Any]:
    """The space of a run file, without costs that profiles give; or of a genome."""
    from uninas_evo.config.runfile import parse_run, read_toml
    from uninas_evo.spaces.load import load_space

    if not source.endswith(".toml"):
        return load_space(source)[0]
    path = Path(source)
    _, content = read_toml(path)
    problem = content.get("problem")
    if isinstance(problem, dict):
        costs, budget = problem.get("costs", {}), problem.get("budget")
        given = {name for name, one in costs.items() if "profile" in one} if _of_tables(costs) else set()
        # What is scored does not matter here, and may need data, or the profile that is yet to be made.
        content["problem"] = {key: problem[key] for key in problem if key not in ("objective", "constraints")}
        content["problem"]["objectives"] = ["params"]
        if given:
            content["problem"]["costs"] = {name: one for name, one in costs.items() if name not in given}
        if isinstance(budget, dict):
            content["problem"]["budget"] = {key: one for key, one in budget.items() if key[4:] not in given}
    return parse_run(content, source, path.parent).problem().space


def _of_tables(costs: Any) -> bool:
    """Whether it is a table of tables; a run file's mistakes are told when it is checked."""
    return isinstance(costs, dict) and all(isinstance(one, dict) for one in costs.values())
