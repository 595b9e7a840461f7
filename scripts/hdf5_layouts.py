#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `pathline data import` with h5py over the layouts, storages and format versions that people have.

    python3 -m venv /tmp/h5py && /tmp/h5py/bin/pip install h5py
    /tmp/h5py/bin/python scripts/hdf5_layouts.py build/bin/pathline

Every file is written with h5py (whose HDF5 is newer than ours), imported, and the store read back with h5py. Files that a
reader of our version cannot understand must be refused in words; those that are ambiguous as well.
"""
import itertools
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

N, H, W = 11, 6, 5
RANDOM = np.random.default_rng(1)
PIXELS = RANDOM.integers(0, 256, (N, H, W, 3), dtype=np.uint8)  # what every file means
LABELS = np.arange(N) * 7 % 4
GREY = PIXELS[..., 0]

STORAGES = {
    "contiguous": {},
    "chunk 1": {"chunks": 1},
    "chunk 4": {"chunks": 4},
    "gzip": {"chunks": 4, "compression": "gzip"},
    "gzip, shuffle, fletcher32": {"chunks": 4, "compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": 1, "compression": "lzf"},
    "growing": {"chunks": 4, "grows": True},
}
# "v108" and "v112" and later are what newer libraries offer; a bound that h5py does not know is passed over.
LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest", ("earliest", "v110")]
USER_BLOCKS = [0, 512, 4096]


def put(file, name, values, storage, order="="):
    """One array, stored as `storage` says, in the byte order `order`."""
    options = dict(storage)
    if "chunks" in options:
        options["chunks"] = (min(options["chunks"], len(values)), *values.shape[1:])
    if options.pop("grows", False):
        options["maxshape"] = (None, *values.shape[1:])
    return file.create_dataset(name, data=values.astype(values.dtype.newbyteorder(order)), **options)


def planes(pixels):
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 1))


# Each writes a file (or two) at `path` and returns what has to be imported, the pixels and the labels.
def biggan(file, path, storage, order):
    put(file, "imgs", planes(PIXELS), storage, order)
    put(file, "labels", LABELS, storage, order)
    return path, PIXELS, LABELS


def pcam(file, path, storage, order):
    put(file, "x", PIXELS, storage, order)
    put(file, "y", LABELS.reshape(N, 1, 1, 1).astype(np.uint8), storage, order)
    return path, PIXELS, LABELS


def pcam_in_two_files(file, path, storage, order):
    put(file, "x", PIXELS, storage, order)
    with h5py.File(str(path).replace("_x.", "_y."), "w") as labels:
        put(labels, "y", LABELS.reshape(N, 1, 1, 1), storage, order)
    return path, PIXELS, LABELS


def shapes3d(file, path, storage, order):
    put(file, "images", PIXELS, storage, order)
    put(file, "labels", RANDOM.random((N, 6)), storage, order)
    return path, PIXELS, None


def fuel(file, path, storage, order):
    put(file, "features", planes(PIXELS), storage, order)
    put(file, "targets", LABELS.reshape(N, 1).astype(np.int32), storage, order)
    return path, PIXELS, LABELS


def float_rows(file, path, storage, order):
    put(file, "data", (GREY.reshape(N, H * W) / 255).astype(np.float32), storage, order)
    put(file, "target", LABELS.astype(np.float64), storage, order)
    return f"{path}:/data@{H}x{W}@0..1", GREY[..., None], LABELS


def byte_rows(file, path, storage, order):
    put(file, "X", planes(PIXELS).reshape(N, -1), storage, order)
    put(file, "y", LABELS, storage, order)
    return f"{path}:/X@3x{H}x{W}", PIXELS, LABELS


def course(file, path, storage, order):
    put(file, "train_set_x", PIXELS, storage, order)
    put(file, "train_set_y", LABELS, storage, order)
    file["list_classes"] = np.array([b"non-cat", b"cat", b"dog", b"ox"])
    return path, PIXELS, LABELS


def wide(file, path, storage, order):
    put(file, "images", PIXELS.astype(np.int64), storage, order)
    put(file, "labels", LABELS.astype(np.uint16), storage, order)
    return path, PIXELS, LABELS


def signed_floats(file, path, storage, order):
    put(file, "images", planes(PIXELS / 127.5 - 1), storage, order)
    put(file, "labels", LABELS, storage, order)
    return f"{path}:/images@-1..1", PIXELS, LABELS


def face_attributes(file, path, storage, order):
    put(file, "images", PIXELS, storage, order)
    put(file, "labels", RANDOM.integers(0, 2, (N, 40)), storage, order)
    file["label_names"] = np.array([b"bald"] * 40)
    return path, PIXELS, None


def single_pictures(file, path, storage, order):
    group = file.create_group("images")
    for i in range(N):
        interlace = ("INTERLACE_PIXEL", "INTERLACE_PLANE", "INTERLACE_LINE")[i % 3]
        axes = {"INTERLACE_PIXEL": (0, 1, 2), "INTERLACE_PLANE": (2, 0, 1), "INTERLACE_LINE": (0, 2, 1)}[interlace]
        picture = put(group, f"{i:03}", np.ascontiguousarray(PIXELS[i].transpose(axes)), storage)
        picture.attrs["CLASS"] = "IMAGE"  # of variable length
        picture.attrs["IMAGE_SUBCLASS"] = np.bytes_("IMAGE_TRUECOLOR")
        picture.attrs["INTERLACE_MODE"] = np.array([interlace.encode()])
    return path, PIXELS, None


def indexed_pictures(file, path, storage, order):
    palette = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)
    put(file, "palette", palette, storage).attrs["CLASS"] = np.bytes_("PALETTE")
    for i in range(N):
        picture = put(file, f"{i:03}", GREY[i], storage)
        picture.attrs["CLASS"] = np.bytes_("IMAGE")
        picture.attrs["IMAGE_SUBCLASS"] = np.bytes_("IMAGE_INDEXED")
        picture.attrs["PALETTE"] = np.array([file["palette"].ref], dtype=h5py.ref_dtype)
    return path, palette[GREY], None


LAYOUTS = [biggan, pcam, pcam_in_two_files, shapes3d, fuel, float_rows, byte_rows, course, wide, signed_floats,
           face_attributes, single_pictures, indexed_pictures]


# What cannot be understood in one way: (what the message must say, how the file is made).
def two_stacks(file):
    file["train_set_x"], file["test_set_x"] = PIXELS, PIXELS[:4]


def two_labels(file):
    file["images"], file["labels"], file["targets"] = PIXELS, LABELS, LABELS


def three_by_three(file):
    file["images"] = PIXELS[:, :3, :4]


def floats_without_range(file):
    file["images"] = PIXELS / 255


def rows_without_shape(file):
    file["data"] = PIXELS.reshape(N, -1)


def short_labels(file):
    file["images"], file["labels"] = PIXELS, LABELS[:-1]


def varying_sizes(file):
    rows = file.create_dataset("images", (N,), dtype=h5py.vlen_dtype(np.uint8))
    for i in range(N):
        rows[i] = PIXELS[i].ravel()[: 9 + i]


def no_images(file):
    file["temperature"] = np.arange(12.0)


AMBIGUOUS = [(two_stacks, "/test_set_x uint8 4x6x5x3"), (two_labels, ":/images,/"), (three_by_three, "@nchw"),
             (floats_without_range, "@0..1"), (rows_without_shape, "@HEIGHTxWIDTH"), (short_labels, ",none"),
             (varying_sizes, "variable-length"), (no_images, "/temperature float64 12")]


def imported(pathline, source, store):
    return subprocess.run([pathline, "data", "import", str(source), "-o", str(store)], capture_output=True, text=True)


def difference(store, pixels, labels):
    """What is wrong with the store, or nothing."""
    with h5py.File(store) as file:
        if not np.array_equal(file["images"][:], pixels):
            return "other pixels"
        if labels is None:
            return "labels" if "labels" in file else ""
        return "" if np.array_equal(file["labels"][:], labels) else "other labels"


def try_layouts(pathline, directory):
    """Yields (what, outcome): "", "refused" for formats newer than the library's, or what is wrong."""
    for layout, (stored, storage), libver, block, order in itertools.product(
            LAYOUTS, STORAGES.items(), LIBVERS, USER_BLOCKS, "<>"):
        what = f"{layout.__name__}, {stored}, libver {libver}, user block {block}, order {order}"
        path, store = directory / "set_x.h5", directory / "store.h5"
        for old in directory.iterdir():
            old.unlink()
        try:
            file = h5py.File(path, "w", libver=libver, userblock_size=block)
        except ValueError:
            continue  # a bound that this h5py does not know
        with file:
            source, pixels, labels = layout(file, path, storage, order)
        run = imported(pathline, source, store)
        newer = libver not in ("earliest", "v108", "v110", ("earliest", "v110"))
        if run.returncode == 3 and newer and "libver" in run.stderr:
            yield what, "refused"
        elif run.returncode != 0:
            yield what, f"exit code {run.returncode}: {run.stderr.strip()}"
        else:
            yield what, difference(store, pixels, labels)


def try_ambiguous(pathline, directory):
    for make, text in AMBIGUOUS:
        path = directory / "ambiguous.h5"
        with h5py.File(path, "w") as file:
            make(file)
        run = imported(pathline, path, directory / "store.h5")
        good = run.returncode == 3 and text in run.stderr and str(path) in run.stderr
        yield make.__name__, "" if good else f"exit code {run.returncode}: {run.stderr.strip()}"


def main():
    pathline = sys.argv[1]
    counts = {"good": 0, "refused": 0, "bad": 0}
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for what, outcome in itertools.chain(try_layouts(pathline, directory), try_ambiguous(pathline, directory)):
            kind = {"": "good", "refused": "refused"}.get(outcome, "bad")
            counts[kind] += 1
            if kind == "bad":
                print(f"{what}: {outcome}")
    print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}: {counts['good']} as they should be, "
          f"{counts['refused']} refused for a format newer than the library's, {counts['bad']} wrong")
    return 1 if counts["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
