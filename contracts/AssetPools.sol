// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessBond} from "./interfaces/IAccessBond.sol";

/// @title Sets of assets that bonds can be bound to
/// @dev Pool zero needs no owner: it holds every asset.
abstract contract AssetPools is IAccessBond {
    /// @notice Who defined a pool
    mapping(bytes32 pool => address) public poolOwner;
    mapping(bytes32 pool => mapping(bytes32 asset => bool)) private _poolAssets;

    /// @inheritdoc IAccessBond
    function definePool(bytes32 salt) external returns (bytes32 pool) {
        pool = keccak256(abi.encode(msg.sender, salt));
        if (poolOwner[pool] != address(0)) revert PoolExists(pool);
        poolOwner[pool] = msg.sender;
        emit PoolDefined(pool, msg.sender);
    }

    /// @inheritdoc IAccessBond
    function setPoolAsset(bytes32 pool, bytes32 asset, bool included) external {
        if (poolOwner[pool] != msg.sender) revert NotPoolOwner(pool, msg.sender);
        _poolAssets[pool][asset] = included;
        emit PoolAssetSet(pool, asset, included);
    }

    /// @inheritdoc IAccessBond
    function poolHolds(bytes32 pool, bytes32 asset) external view returns (bool) {
        return pool == bytes32(0) || _poolAssets[pool][asset];
    }

    function _requirePool(bytes32 pool) internal view {
        if (pool != bytes32(0) && poolOwner[pool] == address(0)) revert PoolUnknown(pool);
    }
}
