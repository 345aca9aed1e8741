"""Hostile input: files that are made to break the program, mutants of honest ones, and what judges the program's answer.

    runner.py         runs the program under limits and says what was wrong
    wire.py           protobuf's wire format as a tree that can be changed, and ONNX models written with it
    pictures.py       writers of PNG, BMP, PNM, TIFF, GIF, JPEG headers, .npy and .npz
    models.py, structure.py, data.py, process.py   the cases of scripts/replay_hostile
    mutants.py        random changes of bytes and trees
    attacks.py, commands.py, kills.py   the kinds of scripts/attack

Standard library and numpy only.
"""
