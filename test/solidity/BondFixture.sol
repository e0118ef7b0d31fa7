// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessBond} from "../../contracts/AccessBond.sol";
import {Codex} from "../../contracts/Codex.sol";
import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {Test} from "./Test.sol";

/// @notice A fresh AccessBond and two funded accounts, in the middle of an epoch
abstract contract BondFixture is Test {
    uint40 internal constant THAW = 7 days;
    uint40 internal constant FOUR_YEARS = 4 * 365 days;
    uint256 internal constant WEEK = 7 days;
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant START = 3000 * WEEK + 3 days;
    uint128 internal constant ONE = 1e18;

    address internal alice = vm.addr(ALICE_KEY);
    address internal bob = address(0xB0B);
    address internal eve = address(0xE5E);
    Codex internal codex;
    AccessBond internal bonds;
    /// @dev The clock as this test set it: the optimizer may read `block.timestamp` once and keep it across a warp.
    uint256 internal time = START;

    function setUp() public virtual {
        vm.warp(START);
        codex = new Codex(address(this));
        bonds = new AccessBond(codex, THAW, address(this));
        for (uint256 i = 0; i < 2; ++i) {
            address account = i == 0 ? alice : bob;
            codex.mint(account, type(uint96).max);
            vm.prank(account);
            codex.approve(address(bonds), type(uint256).max);
        }
    }

    function open(address account, uint128 amount, uint40 lockSeconds) internal returns (uint256 bond) {
        vm.prank(account);
        bond = bonds.openBond(amount, lockSeconds, 0);
    }

    function pass(uint256 elapsed) internal {
        time += elapsed;
        vm.warp(time);
    }

    function nextEpoch() internal {
        time = (time / WEEK + 1) * WEEK;
        vm.warp(time);
    }

    function boundAmount(uint256 amount) internal pure returns (uint128) {
        return uint128(bound(amount, 1, 1e27));
    }

    function lockOf(uint256 bond) internal view returns (uint40) {
        return bonds.bondOf(bond).lockEnd;
    }

    function depositOf(uint256 bond) internal view returns (uint128) {
        return bonds.bondOf(bond).deposit;
    }

    function quota(uint256 bond) internal view returns (uint256 calls, uint256 size) {
        (calls, size) = bonds.quotaOf(bond);
    }
}
