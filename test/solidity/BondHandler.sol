// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessBond} from "../../contracts/AccessBond.sol";
import {Codex} from "../../contracts/Codex.sol";
import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {SetDebts} from "./mocks/SetDebts.sol";
import {Test} from "./Test.sol";

/// @notice What three owners may do to their bonds, and the books that each step is checked against
contract BondHandler is Test {
    AccessBond private immutable BONDS;
    Codex private immutable CODEX;
    SetDebts private immutable DEBTS;

    uint256 public time;
    /// @notice By account: what went in and came out
    mapping(address account => uint256) public paidIn;
    mapping(address account => uint256) public paidOut;
    /// @notice Steps that took effect, so that a run which only fails is noticed
    uint256 public steps;
    /// @notice The latest end of lock and epoch that each bond was seen with
    mapping(uint256 bond => uint256) public lockSeen;
    mapping(uint256 bond => uint256) public epochSeen;

    constructor(AccessBond bonds, Codex codex, SetDebts debts, uint256 start) {
        BONDS = bonds;
        CODEX = codex;
        DEBTS = debts;
        time = start;
    }

    /// @dev Most steps follow a pause, so that epochs pass within a run.
    modifier later(uint256 seed) {
        time += seed % 5 == 0 ? seed % 90 days : seed % 4 days;
        vm.warp(time);
        _;
        ++steps;
        for (uint256 bond = 1; bond <= BONDS.bondCount(); ++bond) {
            IAccessBond.Bond memory terms = BONDS.bondOf(bond);
            vm.assertGe(terms.lockEnd, lockSeen[bond], "a lock got shorter");
            vm.assertGe(terms.epoch, epochSeen[bond], "an epoch went back");
            lockSeen[bond] = terms.lockEnd;
            epochSeen[bond] = terms.epoch;
        }
    }

    function openBond(uint256 seed, uint256 amount, uint256 lock) external later(seed) {
        if (BONDS.bondCount() >= 12) return;
        address account = actor(seed);
        uint128 deposit = uint128(bound(amount, 1, 1e24));
        _fund(account, deposit);
        vm.prank(account);
        BONDS.openBond(deposit, uint40(seed % 2 == 0 ? 0 : bound(lock, 0, 4 * 365 days)), 0);
        paidIn[account] += deposit;
    }

    function topUp(uint256 seed, uint256 amount) external later(seed) {
        (uint256 bond, ) = pick(seed);
        if (bond == 0) return;
        address account = actor(seed >> 8);
        uint128 more = uint128(bound(amount, 1, 1e24));
        uint256 weight = BONDS.weightOf(bond);
        (uint128 calls, ) = BONDS.quotaOf(bond);
        _fund(account, more);
        vm.prank(account);
        BONDS.topUp(bond, more);
        paidIn[account] += more;
        _requireNoLess(bond, weight, calls);
    }

    function extendLock(uint256 seed, uint256 end) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0) return;
        uint256 weight = BONDS.weightOf(bond);
        (uint128 calls, ) = BONDS.quotaOf(bond);
        uint40 newEnd = uint40(bound(end, time, time + 4 * 365 days));
        if (newEnd <= BONDS.bondOf(bond).lockEnd) return;
        vm.prank(owner);
        try BONDS.extendLock(bond, newEnd) {
            _requireNoLess(bond, weight, calls);
        } catch (bytes memory refusal) {
            vm.assertEq(bytes32(refusal), bytes32(IAccessBond.ExtensionShort.selector));
        }
    }

    function requestThaw(uint256 seed, uint256 amount) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0) return;
        IAccessBond.Bond memory terms = BONDS.bondOf(bond);
        if (time < terms.lockEnd || terms.deposit == terms.thawing) return;
        vm.prank(owner);
        BONDS.requestThaw(bond, uint128(bound(amount, 1, terms.deposit - terms.thawing)));
    }

    function cancelThaw(uint256 seed) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0 || BONDS.bondOf(bond).thawing == 0) return;
        vm.prank(owner);
        BONDS.cancelThaw(bond);
    }

    function withdraw(uint256 seed) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0) return;
        IAccessBond.Bond memory terms = BONDS.bondOf(bond);
        uint256 weight = BONDS.weightOf(bond);
        uint256 debt = BONDS.debtOf(bond);
        bool due = terms.thawing != 0 && time >= terms.thawEnd && debt < terms.deposit;
        vm.prank(owner);
        try BONDS.withdraw(bond, owner) returns (uint128 paid) {
            vm.assertTrue(due, "paid too early");
            vm.assertLe(paid, terms.thawing, "paid more than thawed");
            vm.assertLe(paid + debt, terms.deposit, "paid what is owed");
            vm.assertEq(BONDS.weightOf(bond), weight, "withdrawing changed the weight");
            paidOut[owner] += paid;
        } catch {
            vm.assertTrue(!due, "an owner could not leave");
        }
    }

    function owe(uint256 seed, uint256 debt) external later(seed) {
        (uint256 bond, ) = pick(seed);
        if (bond == 0) return;
        DEBTS.set(bond, seed % 2 == 0 ? 0 : bound(debt, 0, 2 * BONDS.bondOf(bond).deposit));
    }

    function transfer(uint256 seed) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0 || BONDS.debtOf(bond) != 0) return;
        vm.prank(owner);
        BONDS.transferFrom(owner, actor(seed >> 16), bond);
        vm.assertEq(BONDS.signersOf(bond).length, 0);
    }

    function setSigner(uint256 seed, address signer, bool allowed) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        if (bond == 0 || signer == address(0) || BONDS.signersOf(bond).length == 8) return;
        vm.prank(owner);
        BONDS.setSigner(bond, signer, allowed);
    }

    /// @dev Whoever is not the owner gets nowhere.
    function trespass(uint256 seed, uint128 amount) external later(seed) {
        (uint256 bond, address owner) = pick(seed);
        address stranger = address(0xBAD);
        if (bond == 0 || owner == stranger) return;
        bytes[5] memory calls = [
            abi.encodeCall(IAccessBond.requestThaw, (bond, amount)),
            abi.encodeCall(IAccessBond.withdraw, (bond, stranger)),
            abi.encodeCall(IAccessBond.cancelThaw, (bond)),
            abi.encodeCall(IAccessBond.setSigner, (bond, stranger, true)),
            abi.encodeCall(IAccessBond.bumpEpoch, (bond))
        ];
        vm.prank(stranger);
        (bool done, ) = address(BONDS).call(calls[seed % 5]);
        vm.assertTrue(!done, "a stranger was let in");
    }

    function actor(uint256 seed) public pure returns (address) {
        return address(uint160(0xAC0 + (seed % 3)));
    }

    function pick(uint256 seed) private view returns (uint256 bond, address owner) {
        uint256 count = BONDS.bondCount();
        if (count == 0) return (0, address(0));
        bond = 1 + (seed % count);
        owner = BONDS.ownerOf(bond);
    }

    function _requireNoLess(uint256 bond, uint256 weight, uint128 calls) private view {
        (uint128 callsAfter, ) = BONDS.quotaOf(bond);
        vm.assertGe(BONDS.weightOf(bond), weight, "a gain lowered the weight");
        vm.assertGe(callsAfter, calls, "a gain lowered the quota");
    }

    function _fund(address account, uint256 amount) private {
        CODEX.mint(account, amount);
        vm.prank(account);
        CODEX.approve(address(BONDS), amount);
    }
}
