// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessBond} from "../../contracts/AccessBond.sol";
import {Codex} from "../../contracts/Codex.sol";
import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {BondHandler} from "./BondHandler.sol";
import {SetDebts} from "./mocks/SetDebts.sol";
import {Test} from "./Test.sol";

contract BondInvariants is Test {
    uint256 private constant START = 3000 * 7 days + 3 days;
    AccessBond private bonds;
    Codex private codex;
    BondHandler private handler;

    function setUp() external {
        vm.warp(START);
        codex = new Codex(address(this));
        bonds = new AccessBond(codex, 7 days, address(this));
        SetDebts debts = new SetDebts();
        bonds.setDebtSource(address(debts));
        handler = new BondHandler(bonds, codex, debts, START + 14 days);
        codex.transferOwnership(address(handler));
        target(address(handler));
    }

    function invariant_the_tokens_held_are_the_deposits() external view {
        uint256 sum = 0;
        for (uint256 bond = 1; bond <= bonds.bondCount(); ++bond) {
            IAccessBond.Bond memory terms = bonds.bondOf(bond);
            sum += terms.deposit;
            vm.assertLe(terms.thawing, terms.deposit, "more thaws than is there");
            vm.assertEq(terms.thawing == 0, terms.thawEnd == 0);
        }
        vm.assertEq(bonds.totalDeposits(), sum, "the total is not the sum of the deposits");
        vm.assertEq(codex.balanceOf(address(bonds)), sum, "tokens are missing or stuck");
    }

    function invariant_what_came_out_went_in() external view {
        uint256 paidIn = 0;
        uint256 paidOut = 0;
        for (uint256 i = 0; i < 3; ++i) {
            paidIn += handler.paidIn(handler.actor(i));
            paidOut += handler.paidOut(handler.actor(i));
        }
        vm.assertEq(paidIn - paidOut, bonds.totalDeposits());
    }

    function invariant_the_total_weight_is_the_sum_now_and_at_any_later_time() external {
        uint256 time = handler.time();
        for (uint256 weeks_ = 0; weeks_ <= 220; weeks_ = weeks_ * 3 + 1) {
            vm.warp(time + weeks_ * 7 days);
            uint256 sum = 0;
            for (uint256 bond = 1; bond <= bonds.bondCount(); ++bond) sum += bonds.weightOf(bond);
            vm.assertEq(bonds.totalWeight(), sum, "the total is not the sum of the weights");
        }
        vm.warp(time);
    }

    function invariant_no_bond_outweighs_four_times_its_free_deposit() external view {
        for (uint256 bond = 1; bond <= bonds.bondCount(); ++bond) {
            IAccessBond.Bond memory terms = bonds.bondOf(bond);
            vm.assertLe(bonds.weightOf(bond), 4 * uint256(terms.deposit - terms.thawing));
        }
    }

    /// @dev A run in which every step was refused would prove nothing.
    function afterInvariant() external view {
        vm.assertGt(handler.steps(), 0);
    }
}
