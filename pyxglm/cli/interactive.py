"""``pyxglm generate --interactive``: a text that grows in turns, the writer's and the model's."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pyxglm.cli.arguments import UsageError, decoded
from pyxglm.cli.terminal import Output, explain, say

HELP = """\
Write a line: it is added to the text, and the model goes on.
  (an empty line)  the model goes on
  /undo            take back the last turn
  /retry           another continuation of the same text (draws only)
  /edit TEXT       put TEXT in the place of the model's last continuation
  /text            show the whole text
  /help            show this
  /quit            leave, as does the end of the input
Ctrl-C stops a text that is being written; where a line is expected, it leaves.
"""

#: What a turn may fail of, such as a text that is too long: the text before it is still good.
FAILURES = (ValueError, MemoryError)


class Conversation:
    """The text so far, and what the model remembers of it.

    The cache is kept between turns: only what is new goes through the model.

    Parameters
    ----------
    call
        A `pyxglm.cli.call.Call`.
    prompt
        The text to begin with.
    """

    def __init__(self, call: Any, prompt: str) -> None:
        self._call = call
        self.ids: list[int] = call.encoded(prompt)
        self._forget()
        self._begun = self.ids  # what the model's last continuation follows
        self._before: list[tuple[list[int], list[int]]] = []  # both, before each turn
        self._seed = call.settings.seed

    @property
    def text(self) -> str:
        """The whole text."""
        return decoded_text(self._call.tokenizer, self.ids)

    def add(self, line: str) -> None:
        """Add a line of the writer's."""
        # In its training text, a line of its own begins with the id that every text begins with.
        special = self._call.settings.newline == "eos" and len(self.ids) > 1
        self.ids = [*self.ids, *self._call.tokenizer.encode(line, add_special_tokens=special)]

    def turn(self, line: str, output: Output) -> None:
        """Add a line, if there is one, and let the model go on; if that fails, take both back."""
        self._before.append((self.ids, self._begun))
        if line:
            self.add(line)
        try:
            self._go_on(output)
        except FAILURES:
            self.undo()
            raise

    def _go_on(self, output: Output) -> None:
        self._begun = prompt = self.ids
        self.ids = new = list(prompt)
        steps = self._call.steps(prompt, past_key_values=self._cache, seed=self._seed)

        def kept() -> Iterator[int]:
            for id_ in steps:
                new.append(id_)
                interrupt.later = True
                yield id_
                if interrupt.came:
                    return

        held = ""
        with interrupts() as interrupt:
            try:
                for piece in self._call.text_of(kept(), prompt):
                    text = (held + piece).rstrip(" ")
                    held = (held + piece)[len(text) :]
                    output.write(text)
            except (KeyboardInterrupt, MemoryError) as error:
                self._forget()  # it may have come between what is remembered and its count
                if interrupt.came or isinstance(error, MemoryError):
                    raise
            if len(new) > len(prompt) and new[-1] in self._call.settings.eos_ids:
                new.pop()  # the text goes on behind it
            # As behind a prompt: what follows a stop string's place brings its own space.
            output.write("\n" if self._end_at_stop() else f"{held}\n")
        self._call.tell()

    def _end_at_stop(self) -> bool:
        """Cut what was added where its text was no longer shown; False if all of it was."""
        from pyxglm.generation.streaming import StreamStopper

        before = decoded_text(self._call.tokenizer, self._begun)
        stopper = StreamStopper(self._call.stops)
        shown = stopper.push(self.text[len(before) :]).rstrip(" ")
        if stopper.stopped:
            self.ids = ids_of_beginning(self._call.tokenizer, self.ids, before + shown)
        return stopper.stopped

    def _forget(self) -> None:
        from pyxglm.cache import KVCache

        self._cache = KVCache(self._call.model.config.num_layers)

    def undo(self) -> bool:
        """Take back the last turn; False if there is none."""
        if not self._before:
            return False
        self.ids, self._begun = self._before.pop()
        return True

    def retry(self, output: Output) -> None:
        """Take back the model's last continuation, and draw another one, unless that fails."""
        before = self.ids
        self.ids = self._begun
        self._seed += 1
        try:
            self._go_on(output)
        except FAILURES:
            self.ids = before
            raise

    def edit(self, text: str) -> None:
        """Put a text in the place of the model's last continuation."""
        added = self._call.tokenizer.encode(text, add_special_tokens=False)
        self.ids = [*self._begun, *added]


def decoded_text(tokenizer: Any, ids: list[int]) -> str:
    """Return the text of ids, as it is shown."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def ids_of_beginning(tokenizer: Any, ids: list[int], text: str) -> list[int]:
    """Return ids of `text`, with which that of `ids` begins: as many of them as there can be.

    The tokenizer puts a space before what it encodes, so that half a token is encoded
    with the word that it is in. Where that does not give the text, whole tokens must do.
    """
    most = None
    for kept in range(len(ids), 0, -1):
        before = decoded_text(tokenizer, ids[:kept])
        if not text.startswith(before):
            continue
        most = kept if most is None else most
        rest = text[len(before) :]
        if before and rest and not rest.startswith(" "):
            continue
        found = [*ids[:kept], *tokenizer.encode(rest, add_special_tokens=False)]
        if decoded_text(tokenizer, found) == text:
            return found
    return ids[:most]


class Interrupt:
    """What an interrupt does while a text is being written.

    Attributes
    ----------
    later
        Whether it is to wait until the next token is chosen. The prompt may
        take long: until then it comes at once.
    came
        Whether one has come that waits. The next one comes at once.
    """

    def __init__(self) -> None:
        self.later = self.came = False

    def __call__(self, *_signal: object) -> None:
        """Take an interrupt."""
        if self.came or not self.later:
            raise KeyboardInterrupt
        self.came = True


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Let a first interrupt end a text, and no more than that."""
    taken = Interrupt()
    # Whoever has other plans for the signal, as `nohup` or a program around this one, keeps them.
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not own or threading.current_thread() is not threading.main_thread():
        yield taken
        return
    signal.signal(signal.SIGINT, taken)
    try:
        yield taken
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def lines(output: Output) -> Iterator[str]:
    """Yield the lines of standard input; tell of those that are no UTF-8."""
    if sys.stdin is None:
        return
    try:
        for number, raw in enumerate(sys.stdin.buffer, 1):
            try:
                line = decoded(raw, f"line {number}")
            except UsageError as error:
                say(str(error))
            else:
                yield line.rstrip("\r\n")
    except KeyboardInterrupt:
        if sys.stdin.isatty():
            output.write("\n")  # behind the ^C that the terminal shows
        raise


def converse(call: Any, prompt: str, output: Output, echo: bool = True) -> None:
    """Read turns from standard input until it ends."""
    conversation = Conversation(call, prompt)
    if prompt:
        if echo:
            output.write(prompt.rstrip())
        conversation.turn("", output)
    elif sys.stdin is not None and sys.stdin.isatty():
        output.write(HELP)
    for line in lines(output):
        try:
            if not answered(conversation, line, output):
                return
        except FAILURES as error:
            output.end_line()
            say(explain(error))


def answered(conversation: Conversation, line: str, output: Output) -> bool:
    """Do what a line asks for; False if that is to leave."""
    word, _, rest = line.partition(" ")
    if word == "/quit":
        return False
    if word == "/help":
        output.write(HELP)
    elif word == "/text":
        output.write(conversation.text + "\n")
    elif word == "/undo":
        if not conversation.undo():
            say("there is no turn to take back")
    elif word == "/retry":
        conversation.retry(output)
    elif word == "/edit":
        conversation.edit(rest)
    elif word.startswith("/"):
        say(f"there is no {word}: /help shows what there is; behind a space it is text")
    else:
        conversation.turn(line.strip(), output)
    return True
