"""Makes edge_metadata.json: what tflite-support's own reader finds in the metadata we write.

Run in the environment of this project; PEER is a Python with tflite-support 0.4.4 and numpy<2, which is no
dependency of it:

    python make_edge_metadata.py --peer_python=PEER

The file holds, for each kind of application, the JSON of `MetadataDisplayer` and the names of the packed
files. The models are the small ones of tests/export/test_metadata.py.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUTPUT = pathlib.Path(__file__).with_name("edge_metadata.json")
READ = """
import json, sys
from tflite_support import metadata
found = {}
for file in sys.argv[1:]:
    reader = metadata.MetadataDisplayer.with_model_file(file)
    found[file] = [json.loads(reader.get_metadata_json()), sorted(reader.get_packed_associated_file_list())]
print(json.dumps(found))
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer_python", required=True, type=pathlib.Path)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "export"))
    from test_metadata import KINDS, written

    with tempfile.TemporaryDirectory() as folder:
        files = {str(written(kind, pathlib.Path(folder))): kind for kind in KINDS}
        command = [given.peer_python, "-c", READ, *files]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {
        files[file]: {"metadata": metadata, "files": names}
        for file, (metadata, names) in json.loads(printed).items()
    }
    OUTPUT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
