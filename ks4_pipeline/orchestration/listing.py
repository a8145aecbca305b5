"""``<name>/listing``: the publisher's version list as last seen, an asset that nobody materialises by hand.

The poll reports it at each look, so that the UI can say whether we have looked lately. Its freshness is the only one
there is: a version, once published, never grows old.
"""

from datetime import timedelta

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from ks4_pipeline.landing import Listing
from ks4_pipeline.orchestration import metadata
from ks4_pipeline.orchestration.assets import OWNERS, asset_key
from ks4_pipeline.settings import DataSet, Settings

_WARN_AFTER_LOOKS = 3
_FAIL_AFTER_LOOKS = 12
_SHORTEST = timedelta(minutes=2)  # Dagster refuses windows under a minute, and looks at them every half minute
# What has landed does not depend on what the list says now. With a data version that changed, or with none, Dagster
# would call every landed version out of date after each look.
_NEVER_CHANGES = "listing"


def listing_asset(settings: Settings, data_set: DataSet) -> dg.AssetSpec:
    """The asset, with a freshness policy made from how often we mean to look."""
    poll = timedelta(minutes=settings.poll_minutes)
    warn = max(_WARN_AFTER_LOOKS * poll, _SHORTEST)
    return dg.AssetSpec(
        asset_key(data_set, "listing"),
        group_name=data_set.name,
        kinds={"api"},
        owners=OWNERS,
        freshness_policy=dg.FreshnessPolicy.time_window(
            warn_window=warn, fail_window=max(_FAIL_AFTER_LOOKS * poll, 2 * warn)
        ),
        description=(
            "The publisher's list of versions as last seen by the poll sensor. Its freshness says whether we looked "
            "lately; its metadata, when the publisher last had news."
        ),
    )


def listing_event(data_set: DataSet, listing: Listing, loaded: int) -> dg.AssetMaterialization:
    """That the list was read."""
    return dg.AssetMaterialization(
        asset_key(data_set, "listing"),
        metadata=metadata.of_listing(data_set, listing, loaded),
        tags={DATA_VERSION_TAG: _NEVER_CHANGES},
    )
