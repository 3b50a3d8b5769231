"""Every kernel of the C library against its reference, and against the clock: ``pyxglm check``.

What a kernel is given: `inputs` and `patterns` draw arguments from the reference's own
signature, `cases` makes calls of them, `problems` lays a call out as the library takes it.
What is right: `bounds` has the float64 reference and the error that the arithmetic permits.
`verify` compares, on memory that shows damage (`guard`), and asks for the same bits in other
company (`invariance`); `head` and `head_cases` do so for the output head. `plan` says which
kernels there are, `native` calls one, `files` writes cases for the driver in C. `bench`
times kernels on `loads`, beside the machine's `limits`.
"""
