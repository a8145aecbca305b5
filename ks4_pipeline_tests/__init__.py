"""The tests of ks4_pipeline: ``unit`` needs no network and no server, ``integration`` runs whole jobs."""
