// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAccessBond, IDebtSource} from "./interfaces/IAccessBond.sol";

/// @title What bonds owe, as another contract says
/// @dev The source is asked on each withdrawal and transfer, hence fixed for good once named.
abstract contract BondDebts is Ownable2Step, IAccessBond {
    using SafeCast for uint256;

    /// @notice How long a thaw takes
    uint40 public immutable THAW_SECONDS;

    /// @notice The contract that knows what bonds owe; zero for none yet
    address public debtSource;
    /// @notice When its word begins to count
    uint40 public debtSourceFrom;

    constructor(uint40 thawSeconds) {
        THAW_SECONDS = thawSeconds;
    }

    /// @inheritdoc IAccessBond
    function setDebtSource(address source) external onlyOwner {
        if (debtSource != address(0)) revert DebtSourceFixed(debtSource);
        if (source.code.length == 0) revert DebtSourceInvalid(source);
        uint40 from = (block.timestamp + 2 * uint256(THAW_SECONDS)).toUint40();
        debtSource = source;
        debtSourceFrom = from;
        emit DebtSourceSet(source, from);
    }

    /// @inheritdoc IAccessBond
    function debtOf(uint256 bond) public view returns (uint256) {
        if (debtSource == address(0) || block.timestamp < debtSourceFrom) return 0;
        return IDebtSource(debtSource).debtOf(bond);
    }
}
