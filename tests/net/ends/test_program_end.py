"""What a program's pipes are besides an end, of which the tests are in test_end.py."""

from __future__ import annotations

import os

from sockkit.net.ends.end import Kind
from sockkit.net.kernel import Splice
from sockkit.net.lanes import Copy, choose
from sockkit.net.loop import Loop
from tests.net import kit as net_kit
from tests.net.ends import kit
from tests.net.ends.kit import Make

loop, stack, make = net_kit.loop, net_kit.stack, kit.make


def test_each_half_may_be_spliced_and_the_whole_may_not(
    make: Make, loop: Loop, stack: net_kit.Stack
) -> None:
    program, peer = make("program").bare, net_kit.stream_end("tcp", stack).end
    assert isinstance(choose(program.source, peer, None, None), Splice)
    assert isinstance(choose(peer, program.sink, None, None), Splice)
    assert isinstance(choose(program, peer, None, None), Copy)  # it has two descriptors
    assert (program.kind, program.descriptor) == (Kind.OTHER, -1)


def test_our_ends_do_not_block_and_the_programs_do(loop: Loop, stack: net_kit.Stack) -> None:
    from sockkit.net.ends.program_end import ProgramEnd

    its_input, ours = os.pipe()
    source, its_output = os.pipe()
    end = ProgramEnd(loop, ours, source, net_kit.PEER)
    assert [os.get_blocking(fd) for fd in (its_input, ours, source, its_output)] == [
        True, False, False, True,
    ]  # fmt: skip
    end.close()
    os.close(its_input)
    os.close(its_output)


def test_a_program_that_has_read_all_and_ends_is_no_reset(make: Make) -> None:
    case = make("program")
    case.pour(b"all of it")
    case.far.close()
    case.until_readable()
    assert case.end.read_into(memoryview(bytearray(9))) == 0
    assert case.end.failure() is None


def test_it_has_no_address(make: Make) -> None:
    assert make("program").bare.local() is None
