"""Compiled functions as plain C functions: compiled once by numba, then loaded from their LLVM form.

Belongs here: turning a function of a kernel module into something that ctypes can call.  Does not belong here: what
it computes (``language.kernel``, ``scan.kernel``), or where the LLVM form is kept (``language.cache``).

Importing numba and letting it load its own cache takes a process more than two seconds and 100 MB; the finished
LLVM form of one small function needs llvmlite alone and a tenth of the time, its machine code five milliseconds, on
the kind of machine that it was made for.  The form is refused unless it needs nothing from outside: a function that
could call something is not what a kernel compiles to.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# ctypes lets go of the interpreter's lock during a call, so threads run side by side.
POINTER, NUMBER = ctypes.c_void_p, ctypes.c_int64


class Code(NamedTuple):
    """The LLVM form of one function, its name there, and its machine code, which only ``machine()`` may be given."""

    intermediate: str
    symbol: str
    machine_code: bytes = b""


class Native:
    """A loaded function, and what has to live as long as it does; ``arguments`` are POINTER or NUMBER each."""

    def __init__(self, code: Code, arguments: tuple[Any, ...]) -> None:
        import llvmlite.binding as llvm

        made = code.machine_code or _assembled(code.intermediate)
        # The engine wants a module to begin with.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(made))
        self._engine.finalize_object()
        address = self._engine.get_function_address(code.symbol)
        if not address:
            raise ValueError(f"the compiled code has no function {code.symbol}")
        self.call = ctypes.CFUNCTYPE(None, *arguments)(address)


def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


def _assembled(intermediate: str) -> bytes:
    """The machine code of an LLVM form; raises ValueError if it refers to something outside."""
    import llvmlite.binding as llvm

    target = _target()
    module: Any = llvm.parse_assembly(intermediate)
    module.verify()
    outside = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    if outside or any(v.linkage.name == "external" and v.is_declaration for v in module.global_variables):
        raise ValueError(f"the compiled code refers to something outside: {outside}")
    return bytes(target.emit_object(module))


@functools.cache
def machine() -> str:
    """What machine code depends on: the processor, what it can do, and who made the code."""
    import llvmlite
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    return f"{llvm.get_default_triple()} {llvm.get_host_cpu_name()} {features} {llvmlite.__version__}"


def compiled(function: Callable[..., None], signature: str) -> Code:
    """The LLVM form of a function and its machine code; imports numba and compiles."""
    import numba

    made: Any = numba.cfunc(signature, error_model="numpy", fastmath=False)(function)
    intermediate = str(made.inspect_llvm())
    return Code(intermediate, str(made.native_name), _assembled(intermediate))


def address(array: "NDArray[np.generic]") -> int:
    """Where an array's numbers lie; whoever passes it on keeps the array."""
    return int(array.ctypes.data)
