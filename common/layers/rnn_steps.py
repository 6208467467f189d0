"""SimpleRNN and GRU with PyTorch on a CPU, forwards and backwards through time by hand.

PyTorch's own kernels record some ten small operations a step, and run back over all of them. Here a step
forwards is two operations (SimpleRNN) or four (GRU), a step backwards two or three: whatever does not
depend on the step after it is computed for many steps at once, and the gradients of the weights are one
product for all of them. LSTM has a fused kernel in PyTorch, which is as fast.

Gradients of gradients are refused: `torch.autograd.function.once_differentiable`.
"""

import torch
from torch.autograd.function import once_differentiable

CHUNK = 16
"""Steps that are prepared at once on the way back: few enough to stay in the processor's cache."""


class _SimpleRNN(torch.autograd.Function):
    """h' = f(x K + h R + b); time comes first."""

    @staticmethod
    def forward(ctx, x, state, kernel, recurrent, bias, activation):
        steps, batch, channels = x.shape
        units = len(recurrent)
        inputs = torch.addmm(bias, x.reshape(-1, channels), kernel).view(steps, batch, units)
        states = x.new_empty(steps + 1, batch, units)
        states[0] = state
        activate = {"tanh": torch.tanh_, "relu": torch.relu_}[activation]
        into, after = inputs.unbind(), states.unbind()
        for t in range(steps):
            activate(torch.addmm(into[t], after[t], recurrent, out=after[t + 1]))
        ctx.save_for_backward(x, states, kernel, recurrent)
        ctx.activation = activation
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, wanted):
        x, states, kernel, recurrent = ctx.saved_tensors
        backwards = recurrent.T.contiguous()
        gradients = _Gradients(ctx, x, kernel, recurrent, sums=states.shape[-1])
        for part in gradients.parts():
            # The slope of the activation at each step, times what comes back to it.
            d, h = gradients.held(part), states[1:][part]
            if ctx.activation == "tanh":
                torch.mul(h, h, out=d).neg_().add_(1)
            else:
                torch.sign(h, out=d)
            each, out = d.unbind(), wanted[part].unbind()
            for t in reversed(range(len(each))):
                gradients.state.add_(out[t])
                torch.mm(each[t].mul_(gradients.state), backwards, out=gradients.state)
            gradients.add(part, states[:-1][part], d, d, d)
        return *gradients.all(), gradients.sums, None


class _GRU(torch.autograd.Function):
    """Keras' GRU with `reset_after`; time comes first.

        z = s(x K_z + h R_z + ...)    r = s(x K_r + h R_r + ...)    g = h R_n + b
        n = tanh(x K_n + r g + ...)   h' = n + z (h - n)

    Columns of the input's kernel are n, z, r, those of the recurrent one z, r, n: so the gradients of
    both are parts of n, z, r, g.
    """

    @staticmethod
    def forward(ctx, x, state, kernel, recurrent, biases):
        steps, batch, channels = x.shape
        units = len(recurrent)
        gates = torch.addmm(biases[0], x.reshape(-1, channels), kernel).view(steps, batch, -1)
        gates[..., units:] += biases[1, : 2 * units]
        states, inner = (x.new_empty(steps + more, batch, units) for more in (1, 0))
        states[0] = state
        gating, last = (
            recurrent[:, columns].contiguous()
            for columns in (slice(2 * units), slice(2 * units, None))
        )
        n, z, r = (part.unbind() for part in gates.split(units, -1))
        both, g, h = gates[..., units:].unbind(), inner.unbind(), states.unbind()
        for t in range(steps):
            both[t].addmm_(h[t], gating).sigmoid_()
            torch.addmm(biases[1, 2 * units :], h[t], last, out=g[t])
            n[t].addcmul_(r[t], g[t]).tanh_()
            torch.lerp(n[t], h[t], z[t], out=h[t + 1])
        ctx.save_for_backward(x, states, gates, inner, kernel, recurrent)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, wanted):
        x, states, gates, inner, kernel, recurrent = ctx.saved_tensors
        units = len(recurrent)
        backwards = recurrent.T.contiguous()
        gradients = _Gradients(ctx, x, kernel, recurrent, sums=4 * units)
        for part in gradients.parts():
            d, h = gradients.held(part), states[:-1][part]
            n, z, r = gates[part].split(units, -1)
            dn, dz, dr, dg = d.split(units, -1)
            # How n, z, r and g of a step change h', each before its activation.
            kept = 1 - z
            torch.mul(n, n, out=dn).neg_().add_(1).mul_(kept)
            torch.sub(h, n, out=dz).mul_(z).mul_(kept)
            torch.mul(dn, r, out=dg)
            torch.mul(dg, inner[part], out=dr).addcmul_(dr, r, value=-1)
            each, recurring = d.unflatten(-1, (4, units)).unbind(), d[..., units:].unbind()
            keep, out = z.unbind(), wanted[part].unbind()
            for t in reversed(range(len(each))):
                gradients.state.add_(out[t])
                each[t].mul_(gradients.state[:, None])
                gradients.state.mul_(keep[t]).addmm_(recurring[t], backwards)
            gradients.add(part, h, d[..., : 3 * units], d[..., units:], d)
        sums = gradients.sums
        return *gradients.all(), torch.stack([sums[: 3 * units], sums[units:]])


class _Gradients:
    """The gradients that a backward pass adds up, from the last steps to the first.

    Args:
        ctx: Of the function; its first input is `x`.
        x: Inputs `(steps, batch, channels)`.
        kernel, recurrent: The weights.
        sums: Columns of what a step holds.
    """

    def __init__(self, ctx, x, kernel, recurrent, sums):
        self.x, self.weights = x, kernel
        self.kernel, self.recurrent = torch.zeros_like(kernel), torch.zeros_like(recurrent)
        self.sums = x.new_zeros(sums)
        self.state = x.new_zeros(x.shape[1], len(recurrent))
        self.inputs = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        self._held = x.new_empty(CHUNK, x.shape[1], sums)

    def parts(self):
        """Yields slices of the steps, the last ones first."""
        for end in range(len(self.x), 0, -CHUNK):
            yield slice(max(end - CHUNK, 0), end)

    def held(self, part):
        """Returns the memory for a slice of the steps, `(steps, batch, columns)`: the same each time."""
        return self._held[: part.stop - part.start]

    def add(self, part, states, of_inputs, of_states, of_sums):
        """Adds the gradients of a slice of the steps.

        Args:
            part: The slice.
            states: States before each step.
            of_inputs, of_states, of_sums: Gradients of x K, of h R, and of all columns.
        """
        rows = self.x[part].flatten(0, 1)
        of_inputs = of_inputs.flatten(0, 1)
        self.kernel.addmm_(rows.T, of_inputs)
        self.recurrent.addmm_(states.flatten(0, 1).T, of_states.flatten(0, 1))
        self.sums += of_sums.sum((0, 1))
        if self.inputs is not None:
            self.inputs[part] = (of_inputs @ self.weights.T).view_as(self.x[part])

    def all(self):
        """Returns the gradients of x, of the first state and of both kernels."""
        return self.inputs, self.state, self.kernel, self.recurrent


def simple_rnn(
    x: torch.Tensor,
    state: torch.Tensor,
    kernel: torch.Tensor,
    recurrent: torch.Tensor,
    bias: torch.Tensor,
    activation: str,
) -> torch.Tensor:
    """Returns all states of a SimpleRNN, float32 `(batch, steps, units)`.

    Args:
        x: float32 `(batch, steps, channels)`.
        state: The first state, `(batch, units)`.
        kernel, recurrent, bias: Keras' weights, `(channels, units)`, `(units, units)`, `(units,)`.
        activation: "tanh" or "relu".
    """
    states = _SimpleRNN.apply(x.transpose(0, 1), state, kernel, recurrent, bias, activation)
    return states.transpose(0, 1)


def gru(
    x: torch.Tensor,
    state: torch.Tensor,
    kernel: torch.Tensor,
    recurrent: torch.Tensor,
    biases: torch.Tensor,
) -> torch.Tensor:
    """Returns all states of a GRU, float32 `(batch, steps, units)`.

    Args:
        x: float32 `(batch, steps, channels)`.
        state: The first state, `(batch, units)`.
        kernel, recurrent, biases: Keras' weights with `reset_after`, `(channels, 3 units)`,
            `(units, 3 units)`, `(2, 3 units)`; columns are update, reset, candidate.
    """
    units = len(recurrent)
    kernel = torch.roll(kernel, units, 1)
    biases = torch.stack([torch.roll(biases[0], units), biases[1]])
    return _GRU.apply(x.transpose(0, 1), state, kernel, recurrent, biases).transpose(0, 1)
