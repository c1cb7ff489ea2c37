"""The losses of this package, for other training loops."""

from geoseg.networks.losses.pfce import PatchPoints, pfce_at_points, pfce_dense
from geoseg.networks.losses.pfce_loss import PFCELoss

__all__ = ["PFCELoss", "PatchPoints", "pfce_at_points", "pfce_dense"]
