"""The global settings as they stand in the store, read at most every two seconds."""

import threading
import time

from holdfast.hooks.store import Query, Store
from holdfast.model import ClusterDetail, Configuration, StoragePoolDetail, ZoneDetail
from holdfast.settings import CATALOGUE, Settings

_FRESH_FOR_SECONDS = 2.0


class StoredSettings:
    """Reads `configuration` and the three details tables. Thread-safe; reading blocks on the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._read_at = -1e9
        self._settings = Settings()

    def current(self) -> Settings:
        """Settings at most two seconds old."""
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_FOR_SECONDS:
                self._settings = self.read()
                self._read_at = time.monotonic()
            return self._settings

    def forget(self) -> None:
        """Read afresh next time: something was changed."""
        with self._lock:
            self._read_at = -1e9

    def read(self) -> Settings:
        """Settings as stored at this moment."""
        return Settings(*self.texts())

    def texts(self) -> tuple[dict[str, str], dict[tuple[str, int], dict[str, str]]]:
        """Stored global texts by name, and stored scoped texts by (scope, database id) and name."""
        stored = {row.name: row.value for row in self._store.select(Configuration, Query()) if row.name in CATALOGUE}
        scoped: dict[tuple[str, int], dict[str, str]] = {}
        for cluster in self._store.select(ClusterDetail, Query()):
            if cluster.name in CATALOGUE:
                scoped.setdefault(("Cluster", cluster.cluster_id), {})[cluster.name] = cluster.value
        for zone in self._store.select(ZoneDetail, Query()):
            if zone.name in CATALOGUE:
                scoped.setdefault(("Zone", zone.dc_id), {})[zone.name] = zone.value
        for pool in self._store.select(StoragePoolDetail, Query()):
            if pool.name in CATALOGUE:
                scoped.setdefault(("StoragePool", pool.pool_id), {})[pool.name] = pool.value
        return stored, scoped
