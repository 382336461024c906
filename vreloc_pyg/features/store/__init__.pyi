from .feature_store import FeatureSlice as FeatureSlice, FeatureStore as FeatureStore
from .directory import DirectoryStore as DirectoryStore
from .hdf5 import ActivityNetStore as ActivityNetStore, HDF5Store as HDF5Store
from .pose_store import PoseStore as PoseStore
from .opening import open_store as open_store
from .writer import StoreWriter as StoreWriter, write_store as write_store
