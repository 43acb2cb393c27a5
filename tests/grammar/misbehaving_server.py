"""A vetting server whose workers do what the grammar's text says: hang, die, write garbage, take memory."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from ramify.errors import UnenforceableSchema
from ramify.grammar import vetting_server
from ramify.grammar.spec import Regex
from ramify.grammar.state import CompiledGrammar, GrammarPlan


class Misbehaving:
    """A `PlanningBackend` that plans any `Regex`, or does what its pattern names."""

    name = "misbehaving"

    def compile(self, spec: Any) -> CompiledGrammar:
        raise NotImplementedError

    def build(self, plan: GrammarPlan) -> CompiledGrammar:
        raise NotImplementedError

    def plan(self, spec: Any) -> GrammarPlan:
        assert isinstance(spec, Regex)
        match spec.pattern.split():
            case ["sleep", seconds]:
                time.sleep(float(seconds))
            case ["spin"]:
                while True:
                    pass
            case ["die", number]:
                os.kill(os.getpid(), int(number))
            case ["exit"]:
                os._exit(3)
            case ["memory"]:
                held = [bytearray(1 << 20) for _ in range(4096)]
                raise AssertionError(len(held))
            case ["garbage", *words]:
                for descriptor in range(3, 32):
                    try:
                        os.write(descriptor, " ".join(words).encode())
                    except OSError:
                        continue
                time.sleep(60)
            case ["refuse"]:
                raise UnenforceableSchema("no", where="#/a", hint="do not")
            case ["panic"]:
                raise BaseException("not an Exception")
            case ["pid"]:
                return GrammarPlan(spec.key(), self.name, str(os.getpid()))
            case ["nice"]:
                return GrammarPlan(spec.key(), self.name, str(os.nice(0)))
            case ["stop", "server"]:
                os.kill(os.getppid(), signal.SIGSTOP)
                time.sleep(60)
            case ["kill", "server"]:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
        return GrammarPlan(spec.key(), self.name, spec.pattern)


if __name__ == "__main__":
    vetting_server.make_backend = lambda *_: Misbehaving()
    vetting_server.main()
