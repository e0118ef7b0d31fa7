// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AssetPools} from "./AssetPools.sol";
import {BondDebts} from "./BondDebts.sol";
import {IAccessBond} from "./interfaces/IAccessBond.sol";
import {WeightLib} from "./libraries/WeightLib.sol";

/// @title The Access Bonds of one chain
/// @dev {IAccessBond} says what each function means.
contract AccessBond is ERC721, ReentrancyGuardTransient, AssetPools, BondDebts {
    using EnumerableSet for EnumerableSet.AddressSet;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using WeightLib for WeightLib.Total;
    using WeightLib for WeightLib.Schedule;

    /// @dev Slot 1: deposit, thawing. Slot 2: thawEnd, lockEnd, epoch, weighsFrom. Slot 3: boost, weighs. Slot 4: pool.
    /// Before epoch `weighsFrom` the bond weighs `weighs`.
    struct State {
        uint128 deposit;
        uint128 thawing;
        uint40 thawEnd;
        uint40 lockEnd;
        uint32 epoch;
        uint32 weighsFrom;
        uint128 boost;
        uint128 weighs;
        bytes32 pool;
    }

    uint256 private constant SIGNERS_MAX = 8;
    uint256 private constant CALLS_PER_CODEX = 1_000;
    uint256 private constant BYTES_PER_CODEX = 10 * 2 ** 30;
    uint256 private constant ONE_CODEX = 1e18;

    /// @notice The token that deposits are made in
    IERC20 public immutable CODEX;

    /// @notice How many bonds were opened; they are numbered from 1
    uint256 public bondCount;
    /// @notice Sum of all deposits: what the contract must always be able to pay
    uint256 public totalDeposits;

    mapping(uint256 bond => State) private _state;
    mapping(uint256 bond => EnumerableSet.AddressSet) private _signers;
    WeightLib.Total private _total;

    constructor(
        IERC20 codex,
        uint40 thawSeconds,
        address owner_
    ) ERC721("Gitd Access Bond", "GAB") Ownable(owner_) BondDebts(thawSeconds) {
        CODEX = codex;
        _total.epoch = WeightLib.epochAt(block.timestamp);
    }

    modifier onlyBondOwner(uint256 bond) {
        if (_ownerOf(bond) != msg.sender) revert NotBondOwner(bond, msg.sender);
        _;
    }

    /// @inheritdoc IAccessBond
    function openBond(uint128 amount, uint40 lockSeconds, bytes32 pool) external nonReentrant returns (uint256 bond) {
        bond = _open(amount, lockSeconds, pool);
    }

    /// @inheritdoc IAccessBond
    function openBondWithPermit(
        uint128 amount,
        uint40 lockSeconds,
        bytes32 pool,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 bond) {
        try IERC20Permit(address(CODEX)).permit(msg.sender, address(this), amount, deadline, v, r, s) {
            bond = _open(amount, lockSeconds, pool);
        } catch {
            // NOTE: whoever sees a permit on its way may use it first; the allowance then stands all the same.
            uint256 allowed = CODEX.allowance(msg.sender, address(this));
            if (allowed < amount) revert AllowanceShort(allowed, amount);
            bond = _open(amount, lockSeconds, pool);
        }
    }

    /// @inheritdoc IAccessBond
    function topUp(uint256 bond, uint128 amount) external nonReentrant {
        if (_ownerOf(bond) == address(0)) revert BondUnknown(bond);
        _take(amount);
        State storage state = _state[bond];
        WeightLib.Schedule memory before = _scheduleOf(state);
        state.deposit += amount;
        totalDeposits += amount;
        _reweigh(state, before, before.boostWith(amount, state.lockEnd, block.timestamp));
        emit ToppedUp(bond, amount);
    }

    /// @inheritdoc IAccessBond
    function extendLock(uint256 bond, uint40 newEnd) external onlyBondOwner(bond) {
        State storage state = _state[bond];
        uint40 latest = (block.timestamp + WeightLib.LOCK_SECONDS_MAX).toUint40();
        if (newEnd <= state.lockEnd || newEnd > latest) revert LockInvalid(state.lockEnd, newEnd, latest);
        WeightLib.Schedule memory before = _scheduleOf(state);
        uint128 running = before.runningBoost(_weightEpoch());
        uint128 boost = WeightLib.boostDown(before.base, newEnd, block.timestamp);
        if (boost < running) {
            uint256 shortest = WeightLib.lockSecondsUp(before.base, running);
            revert ExtensionShort((block.timestamp + shortest).toUint40(), newEnd);
        }
        state.lockEnd = newEnd;
        _reweigh(state, before, boost);
        emit LockExtended(bond, newEnd);
    }

    /// @inheritdoc IAccessBond
    function requestThaw(uint256 bond, uint128 amount) external onlyBondOwner(bond) {
        State storage state = _state[bond];
        if (amount == 0) revert AmountZero();
        if (block.timestamp < state.lockEnd) revert Locked(state.lockEnd);
        uint128 free = state.deposit - state.thawing;
        if (amount > free) revert ThawExceeds(free, amount);
        WeightLib.Schedule memory before = _scheduleOf(state);
        state.thawing += amount;
        state.thawEnd = (block.timestamp + THAW_SECONDS).toUint40();
        _reweigh(state, before, 0);
        emit ThawRequested(bond, amount, state.thawEnd);
    }

    /// @inheritdoc IAccessBond
    function cancelThaw(uint256 bond) external onlyBondOwner(bond) {
        State storage state = _state[bond];
        uint128 thawing = state.thawing;
        if (thawing == 0) revert AmountZero();
        WeightLib.Schedule memory before = _scheduleOf(state);
        state.thawing = 0;
        state.thawEnd = 0;
        _reweigh(state, before, before.boostWith(thawing, state.lockEnd, block.timestamp));
        emit ThawCancelled(bond);
    }

    /// @inheritdoc IAccessBond
    function withdraw(uint256 bond, address to) external nonReentrant onlyBondOwner(bond) returns (uint128 paid) {
        State storage state = _state[bond];
        uint128 thawing = state.thawing;
        if (thawing == 0 || block.timestamp < state.thawEnd) revert NotThawed(state.thawEnd);
        uint256 debt = debtOf(bond);
        if (debt >= state.deposit) revert DebtOutstanding(debt);
        uint128 free = state.deposit - uint128(debt);
        paid = thawing < free ? thawing : free;
        // NOTE: deposit and thawing shrink alike, so weight and quota stay as the thaw's request left them.
        state.deposit -= paid;
        state.thawing = thawing - paid;
        if (paid == thawing) state.thawEnd = 0;
        totalDeposits -= paid;
        emit Withdrawn(bond, to, paid);
        CODEX.safeTransfer(to, paid);
    }

    /// @inheritdoc IAccessBond
    function setSigner(uint256 bond, address signer, bool allowed) external onlyBondOwner(bond) {
        if (signer == address(0)) revert SignerZero();
        EnumerableSet.AddressSet storage signers = _signers[bond];
        if (!(allowed ? signers.add(signer) : signers.remove(signer))) return;
        if (signers.length() > SIGNERS_MAX) revert TooManySigners(bond, SIGNERS_MAX);
        emit SignerSet(bond, signer, allowed);
    }

    /// @inheritdoc IAccessBond
    function bumpEpoch(uint256 bond) external onlyBondOwner(bond) {
        _bumpEpoch(bond);
    }

    /// @inheritdoc IAccessBond
    function bondOf(uint256 bond) external view returns (Bond memory) {
        address owner_ = _ownerOf(bond);
        if (owner_ == address(0)) revert BondUnknown(bond);
        State storage state = _state[bond];
        return
            Bond({
                owner: owner_,
                pool: state.pool,
                deposit: state.deposit,
                thawing: state.thawing,
                thawEnd: state.thawEnd,
                lockEnd: state.lockEnd,
                epoch: state.epoch
            });
    }

    /// @inheritdoc IAccessBond
    function quotaOf(uint256 bond) external view returns (uint128 calls, uint128 bytes_) {
        WeightLib.Schedule memory schedule = _scheduleOf(_state[bond]);
        uint256 counted = uint256(schedule.base) + schedule.runningBoost(_weightEpoch());
        calls = ((counted * CALLS_PER_CODEX) / ONE_CODEX).toUint128();
        bytes_ = ((counted * BYTES_PER_CODEX) / ONE_CODEX).toUint128();
    }

    /// @inheritdoc IAccessBond
    function weightOf(uint256 bond) external view returns (uint256) {
        return _scheduleOf(_state[bond]).weightAt(_weightEpoch());
    }

    /// @inheritdoc IAccessBond
    function totalWeight() external view returns (uint256) {
        return _total.peek(_weightEpoch());
    }

    /// @inheritdoc IAccessBond
    function signersOf(uint256 bond) external view returns (address[] memory) {
        return _signers[bond].values();
    }

    /// @dev A sold bond must not stay usable by its seller.
    function _update(address to, uint256 bond, address auth) internal override returns (address from) {
        from = super._update(to, bond, auth);
        if (from != address(0)) {
            uint256 debt = debtOf(bond);
            if (debt != 0) revert DebtOutstanding(debt);
            _signers[bond].clear();
            _bumpEpoch(bond);
        }
    }

    function _open(uint128 amount, uint40 lockSeconds, bytes32 pool) private returns (uint256 bond) {
        _requirePool(pool);
        uint40 lockEnd = (block.timestamp + lockSeconds).toUint40();
        if (lockSeconds > WeightLib.LOCK_SECONDS_MAX) {
            revert LockInvalid(0, lockEnd, (block.timestamp + WeightLib.LOCK_SECONDS_MAX).toUint40());
        }
        _take(amount);
        bond = ++bondCount;
        totalDeposits += amount;
        State storage state = _state[bond];
        WeightLib.Schedule memory before = _scheduleOf(state);
        state.deposit = amount;
        state.lockEnd = lockEnd;
        if (pool != bytes32(0)) state.pool = pool;
        _reweigh(state, before, WeightLib.boostDown(amount, lockEnd, block.timestamp));
        emit BondOpened(bond, msg.sender, pool, amount, lockEnd);
        _mint(msg.sender, bond);
    }

    /// @dev Measured, as only what arrived can be paid back.
    function _take(uint128 amount) private {
        if (amount == 0) revert AmountZero();
        uint256 before = CODEX.balanceOf(address(this));
        CODEX.safeTransferFrom(msg.sender, address(this), amount);
        uint256 got = CODEX.balanceOf(address(this)) - before;
        if (got != amount) revert AmountMismatch(amount, got);
    }

    /// @dev Puts into effect what was written to `state` since `before` was read.
    function _reweigh(State storage state, WeightLib.Schedule memory before, uint128 boost) private {
        uint32 epoch = _weightEpoch();
        WeightLib.Schedule memory next = before.changed(
            state.deposit - state.thawing,
            boost,
            WeightLib.epochAt(state.lockEnd),
            epoch
        );
        _total.roll(epoch);
        _total.replace(before, next, epoch);
        state.weighsFrom = next.from;
        state.boost = next.boost;
        state.weighs = next.current;
    }

    function _bumpEpoch(uint256 bond) private {
        uint32 epoch = ++_state[bond].epoch;
        emit EpochBumped(bond, epoch);
    }

    function _scheduleOf(State storage state) private view returns (WeightLib.Schedule memory) {
        return
            WeightLib.Schedule({
                base: state.deposit - state.thawing,
                boost: state.boost,
                current: state.weighs,
                from: state.weighsFrom,
                boostEnd: WeightLib.epochAt(state.lockEnd)
            });
    }

    function _weightEpoch() private view returns (uint32) {
        return WeightLib.epochAt(block.timestamp);
    }
}
