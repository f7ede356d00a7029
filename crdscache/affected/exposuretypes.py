"""jwst: which types of references the calibration of an exposure uses, by the type of the exposure.

The table is the newest that the missions' client 14.0.3 has built in. Source: docs/protocol.md, "Affected
data sets".
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crdscache.bestrefs.columns import Table

PARAMETER = "META.EXPOSURE.TYPE"


class ExposureTypes:
    """Says for which data sets a type counts."""

    def __init__(self) -> None:
        table = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
        self._of_exposure = {name: frozenset(words.split()) for name, words in table.items()}

    def applies(self, reftype: str, table: Table) -> NDArray[np.bool_]:
        """Tell for each data set whether the type counts; of an exposure type that is not known all do.

        Returns
        -------
        array of shape (n_datasets,)
        """
        column = table.columns[PARAMETER]
        applies = [reftype in self._of_exposure.get(value, (reftype,)) for value in column.values]
        return np.array(applies, bool)[column.codes]
