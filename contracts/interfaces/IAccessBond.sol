// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title Certificates of deposits that let their holders read metered repositories
/// @notice A deposit is not consumed by use: it sets how much may be used in each period and stands behind what is owed.
/// Amounts are in CODEX base units (18 decimals), times in seconds since 1970, epochs of weight in weeks since 1970.
interface IAccessBond is IERC721 {
    /// @param pool Assets the bond is good for; zero for all
    /// @param thawing Part of the deposit that its owner has asked back; it counts for nothing but debts
    /// @param thawEnd When that part may be withdrawn; zero if nothing thaws
    /// @param lockEnd Until when nothing can be asked back
    /// @param epoch Authorisation epoch: Grants that name another one are void
    struct Bond {
        address owner;
        bytes32 pool;
        uint128 deposit;
        uint128 thawing;
        uint40 thawEnd;
        uint40 lockEnd;
        uint32 epoch;
    }

    /// @notice A deposit was made and its bond given to `owner`
    event BondOpened(uint256 indexed bond, address indexed owner, bytes32 indexed pool, uint128 amount, uint40 lockEnd);
    /// @notice A deposit grew by `amount`
    event ToppedUp(uint256 indexed bond, uint128 amount);
    /// @notice A lock now ends at `lockEnd`
    event LockExtended(uint256 indexed bond, uint40 lockEnd);
    /// @notice `amount` more is thawing; everything that thaws may be withdrawn from `thawEnd` on
    event ThawRequested(uint256 indexed bond, uint128 amount, uint40 thawEnd);
    /// @notice Nothing of the deposit thaws any more
    event ThawCancelled(uint256 indexed bond);
    /// @notice `amount` left the deposit for `to`
    event Withdrawn(uint256 indexed bond, address indexed to, uint128 amount);
    /// @notice A key may sign Grants for the bond, or no longer; a transfer drops all of them without this event
    event SignerSet(uint256 indexed bond, address indexed signer, bool allowed);
    /// @notice Grants of epochs other than `epoch` are void
    event EpochBumped(uint256 indexed bond, uint32 epoch);
    /// @notice A pool came to be, empty
    event PoolDefined(bytes32 indexed pool, address indexed owner);
    /// @notice Bonds of the pool became good for an asset, or no longer
    event PoolAssetSet(bytes32 indexed pool, bytes32 indexed asset, bool included);
    /// @notice Debts count from `from` on as `source` says
    event DebtSourceSet(address indexed source, uint40 from);

    /// @notice Thrown when an amount is zero
    error AmountZero();
    /// @notice Thrown when the token moved another amount than asked for, as fee-on-transfer tokens do
    error AmountMismatch(uint256 wanted, uint256 got);
    /// @notice Thrown when a permit does not hold and no allowance covers the amount either
    error AllowanceShort(uint256 allowed, uint256 wanted);
    /// @notice Thrown when the caller is not the bond's owner
    error NotBondOwner(uint256 bond, address caller);
    /// @notice Thrown when a bond does not exist
    error BondUnknown(uint256 bond);
    /// @notice Thrown when a pool is not defined
    error PoolUnknown(bytes32 pool);
    /// @notice Thrown when the caller does not own the pool
    error NotPoolOwner(bytes32 pool, address caller);
    /// @notice Thrown when a pool is defined a second time
    error PoolExists(bytes32 pool);
    /// @notice Thrown when a lock would end no later than it does, or later than allowed
    error LockInvalid(uint40 current, uint40 asked, uint40 latest);
    /// @notice Thrown when the new end is so near that the lock would earn a lower boost than it has; `earliest` keeps it
    error ExtensionShort(uint40 earliest, uint40 asked);
    /// @notice Thrown when the deposit is still locked
    error Locked(uint40 until);
    /// @notice Thrown when more is asked to thaw than is not thawing yet
    error ThawExceeds(uint128 free, uint128 asked);
    /// @notice Thrown when nothing thaws (`until` is zero), or the delay has not passed
    error NotThawed(uint40 until);
    /// @notice Thrown when debt leaves nothing to withdraw, or stands in the way of a transfer
    error DebtOutstanding(uint256 debt);
    /// @notice Thrown when the zero address is to become a signer
    error SignerZero();
    /// @notice Thrown when a bond already has as many signers as it may have
    error TooManySigners(uint256 bond, uint256 most);
    /// @notice Thrown when a debt source is set a second time
    error DebtSourceFixed(address source);
    /// @notice Thrown when a debt source has no code, so that no bond could ever be withdrawn again
    error DebtSourceInvalid(address source);

    /// @notice Deposits `amount` of the caller's CODEX and locks it for `lockSeconds` (zero to four years)
    /// @param pool Zero for every asset, or a defined pool
    /// @return bond The new bond's number, from 1 on
    function openBond(uint128 amount, uint40 lockSeconds, bytes32 pool) external returns (uint256 bond);

    /// @notice As {openBond}, with an EIP-2612 permit over exactly `amount`
    /// @dev A permit that someone else used beforehand does no harm: the allowance it left is used.
    function openBondWithPermit(
        uint128 amount,
        uint40 lockSeconds,
        bytes32 pool,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 bond);

    /// @notice Adds to a deposit; anyone may. What is added is locked, and boosted, for the time that remains
    function topUp(uint256 bond, uint128 amount) external;

    /// @notice Moves the end of the lock further away, at most four years from now; lowers nothing
    /// @dev A boost is held until the lock ends, so an extension must earn at least the boost that it would prolong;
    /// otherwise one long lock, prolonged by a week each week, would keep the highest boost for ever.
    function extendLock(uint256 bond, uint40 newEnd) external;

    /// @notice Asks `amount` more back. The delay starts anew for everything that thaws; quota and weight shrink at once
    function requestThaw(uint256 bond, uint128 amount) external;

    /// @notice Puts everything that thaws back to work
    function cancelThaw(uint256 bond) external;

    /// @notice Pays what has thawed, at most the deposit less the debt at this moment; a rest stays thawed
    function withdraw(uint256 bond, address to) external returns (uint128 paid);

    /// @notice Lets a key sign Grants for the bond, or no longer; at most eight
    function setSigner(uint256 bond, address signer, bool allowed) external;

    /// @notice Voids every Grant signed under the bond so far
    function bumpEpoch(uint256 bond) external;

    /// @notice Defines a set of assets that bonds can be bound to, owned by the caller
    /// @return pool `keccak256(abi.encode(caller, salt))`
    function definePool(bytes32 salt) external returns (bytes32 pool);

    /// @notice Puts an asset (a repository's id) into the caller's pool, or takes it out
    function setPoolAsset(bytes32 pool, bytes32 asset, bool included) external;

    /// @notice Names the contract that knows what bonds owe; once, by the contract's owner
    /// @dev Its word counts only after twice the thaw delay, so that whoever is not locked can leave first.
    function setDebtSource(address source) external;

    /// @notice A bond's terms; throws {BondUnknown}
    function bondOf(uint256 bond) external view returns (Bond memory);

    /// @notice What a bond may use in each period of 30 days: 1,000 calls and 10 GiB for each CODEX that does not thaw,
    /// up to four times that while locked. Unlike weight it counts from the first moment
    function quotaOf(uint256 bond) external view returns (uint128 calls, uint128 bytes_);

    /// @notice The bond's weight in the running epoch: the deposit that does not thaw, times up to four while locked
    /// @dev Gains count from the next epoch, losses at once.
    function weightOf(uint256 bond) external view returns (uint256);

    /// @notice Sum of all weights in the running epoch
    function totalWeight() external view returns (uint256);

    /// @notice Keys beside the owner's that may sign Grants for the bond
    function signersOf(uint256 bond) external view returns (address[] memory);

    /// @notice Whether bonds of `pool` are good for `asset`
    function poolHolds(bytes32 pool, bytes32 asset) external view returns (bool);

    /// @notice What a bond owes; zero until a debt source counts
    function debtOf(uint256 bond) external view returns (uint256);
}

/// @title What an AccessBond asks of the contract that keeps debts
interface IDebtSource {
    /// @notice What a bond owes, in CODEX base units; must never throw
    function debtOf(uint256 bond) external view returns (uint256);
}
