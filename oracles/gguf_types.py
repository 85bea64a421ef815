"""A GGUF file with every metadata type and a few tensor types, written by the PyPI package `gguf`.

The reader's tests open it and compare against the values below, which they repeat.

    pip install -r requirements-blocks.txt
    python gguf_types.py ../fixtures/gguf/types.gguf
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter, quants


def write(path: Path) -> None:
    writer = GGUFWriter(str(path), "types")
    writer.add_name("Every type")
    writer.add_custom_alignment(64)
    writer.add_uint8("scalar.u8", 255)
    writer.add_int8("scalar.i8", -128)
    writer.add_uint16("scalar.u16", 65535)
    writer.add_int16("scalar.i16", -32768)
    writer.add_uint32("scalar.u32", 4294967295)
    writer.add_int32("scalar.i32", -2147483648)
    writer.add_uint64("scalar.u64", 18446744073709551615)
    writer.add_int64("scalar.i64", -9223372036854775808)
    writer.add_float32("scalar.f32", 0.97)
    writer.add_float64("scalar.f64", 2.0**-24)
    writer.add_bool("scalar.true", True)
    writer.add_bool("scalar.false", False)
    writer.add_string("scalar.string", "\u2581na\u00efve \U0001f426")
    writer.add_key_value("scalar.empty", "", GGUFValueType.STRING)  # add_string drops empty ones
    for name, kind, values in [
        ("u8", GGUFValueType.UINT8, [0, 255]),
        ("i8", GGUFValueType.INT8, [-128, 127]),
        ("u16", GGUFValueType.UINT16, [0, 65535]),
        ("i16", GGUFValueType.INT16, [-32768, 32767]),
        ("u32", GGUFValueType.UINT32, [0, 4294967295]),
        ("i32", GGUFValueType.INT32, [0, 1, 2, 3, 4]),
        ("u64", GGUFValueType.UINT64, [0, 18446744073709551615]),
        ("i64", GGUFValueType.INT64, [-9223372036854775808, 9223372036854775807]),
        ("f32", GGUFValueType.FLOAT32, [0.5, -0.25]),
        ("f64", GGUFValueType.FLOAT64, [0.1, -1e300]),
        ("bool", GGUFValueType.BOOL, [True, False, True]),
        ("string", GGUFValueType.STRING, ["<unk>", "\u2581the", ""]),
    ]:
        writer.add_key_value(f"array.{name}", values, GGUFValueType.ARRAY, sub_type=kind)
    writer.add_key_value("array.nested", [[1, 2], [3, 4]], GGUFValueType.ARRAY, sub_type=GGUFValueType.ARRAY)

    writer.add_tensor("f32", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("f16", np.arange(4, dtype=np.float16))
    writer.add_tensor("i32", np.array([-1, 0, 1], dtype=np.int32))
    rows = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
    packed = quants.quantize(rows, GGMLQuantizationType.Q8_0)
    writer.add_tensor("q8_0", packed, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.add_tensor("four", np.ones((2, 1, 3, 1), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file to write, e.g. ../fixtures/gguf/types.gguf")
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
