"""What takes torch before the first trial: its models are checked and counted, and the device is found."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from reprotune.arithmetic import kernels
from reprotune.data.images import Inputs
from reprotune.data.stored import StoredDataset
from reprotune.errors import PARAMS, ParamsError, UserError
from reprotune.params import Device, Params
from reprotune.search.space import complete, default_config, largest
from reprotune.training import cost
from reprotune.training.cost import Cost
from reprotune.training.models import Config, meta_model

if TYPE_CHECKING:
    from reprotune.execution.pool import Pool


def prepare(params: Params, dataset: StoredDataset, pool: "Pool", configs: Iterable[Config] = ()) -> None:
    """Check the studies' models, and learn what else takes torch: the kernels' digest, what these configs cost and
    what the second study's largest do. A worker does it, which has imported torch: so this process need not.

    Raises UserError as `check_models`.
    """
    work = partial(_prepared, params, dataset.inputs, list(configs))
    try:
        digest, costs = pool.submit(work).result() if pool.here else work()
    except BrokenExecutor:
        digest, costs = work()
    kernels.know(digest)
    cost.know(costs)


def _prepared(params: Params, inputs: Inputs, configs: Sequence[Config]) -> tuple[str, Mapping[Any, Cost]]:
    check_models(params, inputs)
    second = complete(params, params.multi_objective.search_space, "multi_objective")
    return kernels.digest(), cost.known([*configs, *largest(second)], inputs)


def check_models(params: Params, inputs: Inputs) -> None:
    """Raises UserError if the default or a model of a search space cannot be built for images of this shape."""
    for name in ("single_objective", "multi_objective"):
        space = complete(params, getattr(params, name).search_space, name)
        for config in (default_config(params), *largest(space)):
            try:
                meta_model(config, inputs)
            except ValueError as error:
                key = f"{PARAMS}: {name}.search_space, with the sections model and training"
                raise UserError(f"{key}: {error}") from None


def resolve_device(chosen: Device) -> str:
    """`auto` is cuda where there is a GPU, else cpu."""
    if chosen != "auto":
        return chosen
    from torch import cuda

    return "cuda" if cuda.is_available() else "cpu"


def check_device(chosen: Device) -> None:
    """For what trains. Raises ParamsError for cuda where there is no GPU; results are read and drawn without one."""
    if chosen == "cuda" and resolve_device("auto") == "cpu":
        raise ParamsError("training.device", chosen, "no CUDA GPU is found here; must be cpu or auto")
