"""The U-Net of Diffusion Policy in plain torch modules, as a textbook would write it.

Tests compare our `Unet` with it, in its output and in its speed.
"""

import math

import torch
from torch import nn


class StepEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim)
        )

    def forward(self, t):
        half = self.dim // 2
        rates = torch.exp(torch.arange(half) * -(math.log(10_000) / (half - 1)))
        phase = t[:, None] * rates
        return self.mlp(torch.cat([phase.sin(), phase.cos()], dim=-1))


def conv_block(c_in, c_out, size, groups):
    conv = nn.Conv1d(c_in, c_out, size, padding=size // 2)
    return nn.Sequential(conv, nn.GroupNorm(groups, c_out), nn.Mish())


class Residual(nn.Module):
    def __init__(self, c_in, c_out, condition, size, groups):
        super().__init__()
        self.first = conv_block(c_in, c_out, size, groups)
        self.second = conv_block(c_out, c_out, size, groups)
        self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * c_out))
        self.skip = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, condition):
        scale, bias = self.film(condition).unsqueeze(-1).chunk(2, dim=1)
        return self.second(scale * self.first(x) + bias) + self.skip(x)


class TextbookUnet(nn.Module):
    """The same network as our `Unet`, with the same arguments."""

    def __init__(
        self, action_dim, obs_features, *, channels, kernel_size, groups, step_dim
    ):
        super().__init__()
        condition = step_dim + obs_features

        def pair(c_in, c_out):
            return nn.ModuleList(
                [
                    Residual(c_in, c_out, condition, kernel_size, groups),
                    Residual(c_out, c_out, condition, kernel_size, groups),
                ]
            )

        self.step = StepEmbedding(step_dim)
        ins = (action_dim, *channels[:-1])
        self.down = nn.ModuleList(map(pair, ins, channels))
        self.shrink = nn.ModuleList(
            nn.Conv1d(c, c, 3, stride=2, padding=1) for c in channels[:-1]
        )
        self.middle = pair(channels[-1], channels[-1])
        up = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(pair(2 * a, b) for a, b in up)
        self.grow = nn.ModuleList(
            nn.ConvTranspose1d(b, b, 4, stride=2, padding=1) for _, b in up
        )
        self.last = conv_block(channels[0], channels[0], kernel_size, groups)
        self.out = nn.Conv1d(channels[0], action_dim, 1)

    def forward(self, x, t, obs):
        condition = torch.cat([self.step(t), obs], dim=-1)
        x = x.transpose(1, 2)
        skips = []
        for level, pair in enumerate(self.down):
            for block in pair:
                x = block(x, condition)
            skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
        for block in self.middle:
            x = block(x, condition)
        for pair, grow in zip(self.up, self.grow, strict=True):
            x = torch.cat([x, skips.pop()], dim=1)
            for block in pair:
                x = block(x, condition)
            x = grow(x)
        return self.out(self.last(x)).transpose(1, 2)


def textbook_copy(unet, action_dim, obs_features, config):
    """Builds a textbook network with the weights of our `Unet`."""
    book = TextbookUnet(
        action_dim,
        obs_features,
        channels=config.channels,
        kernel_size=config.kernel_size,
        groups=config.groups,
        step_dim=config.step_dim,
    )

    def kernel(linear, c_in):
        return linear.weight.view(len(linear.weight), -1, c_in).transpose(1, 2)

    @torch.no_grad()
    def copy(target, weight, bias):
        target.weight.copy_(weight)
        target.bias.copy_(bias)

    blocks = [b for pair in [*book.down, book.middle, *book.up] for b in pair]
    films = zip(
        unet.film.weight.split(unet.film_sizes),
        unet.film.bias.split(unet.film_sizes),
        strict=True,
    )
    for theirs, ours, film in zip(blocks, unet.blocks(), films, strict=True):
        copy(theirs.film[1], *film)
        for a, b in ((theirs.first, ours.first), (theirs.second, ours.second)):
            copy(a[0], kernel(b.conv, a[0].in_channels), b.conv.bias)
            copy(a[1], b.norm.weight, b.norm.bias)
        if ours.skip is not None:
            copy(theirs.skip, ours.skip.weight.unsqueeze(-1), ours.skip.bias)
    for theirs, ours in zip(book.shrink, unet.shrink, strict=True):
        copy(theirs, kernel(ours, theirs.in_channels), ours.bias)
    for theirs, ours in zip(book.grow, unet.grow, strict=True):
        c = theirs.in_channels
        even, odd = ours.weight  # (c, 2 c): steps (t - 1, t) and (t, t + 1)
        taps = [odd[:, c:], even[:, c:], odd[:, :c], even[:, :c]]
        copy(theirs, torch.stack(taps, dim=-1).transpose(0, 1), ours.bias)
    book.step.load_state_dict(unet.step_embedding.state_dict())
    copy(
        book.last[0],
        kernel(unet.last.conv, book.last[0].in_channels),
        unet.last.conv.bias,
    )
    copy(book.last[1], unet.last.norm.weight, unet.last.norm.bias)
    copy(book.out, unet.out.weight.unsqueeze(-1), unet.out.bias)
    return book.eval()
