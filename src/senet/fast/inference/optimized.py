"""What `optimize` did to a network: a frozen record that prints as text."""

from dataclasses import dataclass

from senet.printed import Printed

__all__ = ["Report", "Treated"]


@dataclass(frozen=True, kw_only=True)
class Treated:
    """What was done to one SE block.

    Attributes:
        name: path of the block in the network that was given.
        squeeze: name of the convolution whose input is averaged in place of the block's own; empty if the map that
            is gated is averaged itself.
        folded: whether that convolution is multiplied into the first layer of the excitation.
        joined: what shares the pass of the gate: `scale`, `scale + sum` or `scale + sum + relu`; empty if the block
            runs as it was.
        native: whether C++ runs the block and what is joined in one call: for maps in float32 and bfloat16, if the
            network was on a CPU when it was optimized. Otherwise, and for all other maps, operators of torch do.
        why: what was left alone, and the reason; empty if nothing was.
    """

    name: str
    squeeze: str = ""
    folded: bool = False
    joined: str = ""
    native: bool = False
    why: str = ""

    def __str__(self) -> str:
        done = [f"averages the input of {self.squeeze}"] if self.squeeze else []
        done += ["first layer folded"] if self.folded else []
        done += [self.joined] if self.joined else []
        done += ["one native call on a CPU"] if self.native else []
        done += [self.why] if self.why else []
        return f"{self.name}: {'; '.join(done)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Report(Printed):
    """What `optimize` did.

    Attributes:
        norms: names of the norms that went into a convolution.
        left_norms: names of the others, with the reason.
        blocks: the SE blocks in the order in which they run.
        sums: residual sums in the memory of their branch, those of blocks included.
        convolutions: names of the 3x3 convolutions that run in fewer products on maps of a suitable size.
    """

    norms: tuple[str, ...]
    left_norms: tuple[tuple[str, str], ...]
    blocks: tuple[Treated, ...]
    sums: int
    convolutions: tuple[str, ...] = ()

    def __str__(self) -> str:
        early = sum(bool(block.squeeze) for block in self.blocks)
        lines = [
            f"norms: {len(self.norms)} folded, {len(self.left_norms)} left; sums in place: {self.sums}; "
            f"blocks: {early} of {len(self.blocks)} squeezed before their convolution",
            f"convolutions in fewer products: {len(self.convolutions)}"
            + (", on maps in channels last: .to(memory_format=torch.channels_last)" if self.convolutions else ""),
        ]
        lines += [f"  {name}: left, {why}" for name, why in self.left_norms]
        return "\n".join([*lines, *(f"  {block}" for block in self.blocks)])
