from crdscache.affected.exposuretypes import PARAMETER, ExposureTypes
from crdscache.bestrefs.columns import Table


def test_a_type_counts_for_the_exposures_that_use_it_and_for_unknown_ones() -> None:
    exposures = ["FGS_ACQ1", "NRS_DARK", "FGS_ACQ1", "NO_SUCH", "UNDEFINED"]
    table = Table.of_values({PARAMETER: exposures}, len(exposures))

    assert ExposureTypes().applies("flat", table).tolist() == [True, False, True, True, True]
    assert ExposureTypes().applies("superbias", table).tolist() == [False, True, False, True, True]
