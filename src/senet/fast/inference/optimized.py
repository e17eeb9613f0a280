"""The report of `optimize`: a frozen record that prints as text."""

from dataclasses import dataclass

from senet.printed import Printed

__all__ = ["Report", "Treated"]


@dataclass(frozen=True, kw_only=True)
class Treated:
    """How one SE block was rewritten.

    Attributes:
        name: path of the block in the original network.
        squeeze: name of the convolution whose input is averaged instead of the block's own; empty if the gated map
            itself is averaged.
        fused: whether that convolution is fused into the first layer of the excitation.
        joined: the operations that run in one pass: `scale`, `scale + sum` or `scale + sum + relu`; empty if the block
            runs unchanged.
        native: whether block and joined operations run in one native call: for maps in float32 and bfloat16, if the
            network was on a CPU when it was optimized. Otherwise torch operators run.
        why: what was not rewritten, with the reason; empty if everything was.
    """

    name: str
    squeeze: str = ""
    fused: bool = False
    joined: str = ""
    native: bool = False
    why: str = ""

    def __str__(self) -> str:
        done = [f"averages the input of {self.squeeze}"] if self.squeeze else []
        done += ["first layer fused"] if self.fused else []
        done += [self.joined] if self.joined else []
        done += ["one native call on a CPU"] if self.native else []
        done += [self.why] if self.why else []
        return f"{self.name}: {'; '.join(done)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Report(Printed):
    """What `optimize` rewrote.

    Attributes:
        norms: names of the norms that were fused into a convolution.
        left_norms: names of the others, with the reason.
        blocks: the SE blocks in execution order.
        sums: number of residual sums that run in place, including those joined with blocks.
        convolutions: names of the 3x3 convolutions that use Winograd's algorithm on maps of a suitable size.
    """

    norms: tuple[str, ...]
    left_norms: tuple[tuple[str, str], ...]
    blocks: tuple[Treated, ...]
    sums: int
    convolutions: tuple[str, ...] = ()

    def __str__(self) -> str:
        early = sum(bool(block.squeeze) for block in self.blocks)
        lines = [
            f"norms: {len(self.norms)} fused, {len(self.left_norms)} left; sums in place: {self.sums}; "
            f"blocks: {early} of {len(self.blocks)} squeezed before their convolution",
            f"Winograd convolutions: {len(self.convolutions)}"
            + (", on maps in channels last: .to(memory_format=torch.channels_last)" if self.convolutions else ""),
        ]
        lines += [f"  {name}: left, {why}" for name, why in self.left_norms]
        return "\n".join([*lines, *(f"  {block}" for block in self.blocks)])
