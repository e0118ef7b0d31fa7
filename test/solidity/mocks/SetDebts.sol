// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDebtSource} from "../../../contracts/interfaces/IAccessBond.sol";

/// @notice Debts as the test sets them
contract SetDebts is IDebtSource {
    mapping(uint256 bond => uint256) public debtOf;

    function set(uint256 bond, uint256 debt) external {
        debtOf[bond] = debt;
    }
}
