"""The compiled replay as a plain C function: compiled once by numba, then loaded from its LLVM form.

Belongs here: turning ``kernel`` into something that ctypes can call.  Does not belong here: what it computes, or
where the LLVM form is kept (``cache``).

Importing numba and letting it load its own cache takes a process more than two seconds and 100 MB; the finished
LLVM form of one small function needs llvmlite alone and a tenth of the time.  It is text, not a pickle, and it is
refused unless it needs nothing from outside: a function that could call something is not what ``kernel`` compiles to.
"""

import ctypes
from typing import Any

_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64
# text, starts, how many; the tables; languages and kind of sum; scratch; answers.  ctypes lets go of the
# interpreter's lock during a call, so threads run side by side.
_PROTOTYPE = ctypes.CFUNCTYPE(
    None,
    *(_POINTER, _POINTER, _NUMBER),
    *(_POINTER, _NUMBER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
    *(_NUMBER, _NUMBER),
    *(_POINTER, _POINTER, _POINTER, _POINTER),
    *(_POINTER, _POINTER),
)

_SIGNATURE = """void(
    CPointer(uint32), CPointer(int64), int64,
    CPointer(uint16), int64, CPointer(int32), CPointer(uint32), CPointer(uint64),
    CPointer(float64), CPointer(uint32), CPointer(float64), CPointer(float64), int64, int64,
    CPointer(uint16), CPointer(int32), CPointer(float64), CPointer(float64),
    CPointer(int32), CPointer(float64))"""


class Native:
    """A loaded function, and what has to live as long as it does."""

    def __init__(self, intermediate: str, symbol: str) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module: Any = llvm.parse_assembly(intermediate)
        module.verify()
        outside = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
        if outside or any(v.linkage.name == "external" and v.is_declaration for v in module.global_variables):
            raise ValueError(f"the compiled replay refers to something outside: {outside}")
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
        )
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        address = self._engine.get_function_address(symbol)
        if not address:
            raise ValueError(f"the compiled replay has no function {symbol}")
        self.call = _PROTOTYPE(address)


def intermediate_form() -> tuple[str, str]:
    """The LLVM form of the replay and the name of its function; imports numba and compiles."""
    import numba

    from tasks.text.language.kernel import replay

    compiled: Any = numba.cfunc(_SIGNATURE, error_model="numpy", fastmath=False)(replay)
    return str(compiled.inspect_llvm()), str(compiled.native_name)
